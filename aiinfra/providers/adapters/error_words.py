"""Classifies providers' error bodies by their labels, or by their messages if they have none.

A new variant only needs a line here.
"""

import re

from aiinfra.providers.base import ErrorCode

BY_LABEL = {
    "content_filter": ErrorCode.CONTENT_FILTERED,
    "content_policy_violation": ErrorCode.CONTENT_FILTERED,
    "invalid_prompt": ErrorCode.CONTENT_FILTERED,
    "data_inspection_failed": ErrorCode.CONTENT_FILTERED,  # Alibaba
    "DataInspectionFailed": ErrorCode.CONTENT_FILTERED,
    "context_length_exceeded": ErrorCode.CONTEXT_LENGTH_EXCEEDED,
    "exceed_context_size_error": ErrorCode.CONTEXT_LENGTH_EXCEEDED,  # llama.cpp
    "model_not_found": ErrorCode.MODEL_NOT_FOUND,
    "model_decommissioned": ErrorCode.MODEL_NOT_FOUND,  # Groq
    "model_not_available": ErrorCode.MODEL_NOT_FOUND,  # Together
    "model_not_supported": ErrorCode.MODEL_NOT_FOUND,  # Hugging Face
    "invalid_model": ErrorCode.MODEL_NOT_FOUND,  # Mistral
    "unknown_model": ErrorCode.MODEL_NOT_FOUND,  # GitHub
    "DeploymentNotFound": ErrorCode.MODEL_NOT_FOUND,  # Azure
    "request_too_large": ErrorCode.REQUEST_TOO_LARGE,
    "insufficient_quota": ErrorCode.AUTHENTICATION,
    "billing_not_active": ErrorCode.AUTHENTICATION,
    "billing_hard_limit_reached": ErrorCode.AUTHENTICATION,
    "exceeded_current_quota_error": ErrorCode.AUTHENTICATION,  # Moonshot
    "invalid_api_key": ErrorCode.AUTHENTICATION,
    "Arrearage": ErrorCode.AUTHENTICATION,  # Alibaba
}
"""An error's `code` or `type`."""

STATUS_BY_LABEL = {
    "invalid_request_error": 400,
    "INVALID_ARGUMENT": 400,
    "authentication_error": 401,
    "UNAUTHENTICATED": 401,
    "billing_error": 402,
    "permission_error": 403,
    "PERMISSION_DENIED": 403,
    "not_found_error": 404,
    "NOT_FOUND": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "overloaded_error": 529,
}
"""The HTTP status that Anthropic, OpenAI and Google document for an error's `type`, `code` or `status`."""

_FILTERED = re.compile(
    r"content exists risk|content filter|content management policy|content.{0,40}(violates|inappropriate)"
    r"|inappropriate content|flagged (for|as)\b|violat\w* .{0,40}(polic|guideline)",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size|limit)|maximum (context|(prompt|input|sequence|model) (length|size))"
    r"|prompt is too long|too many (input |prompt )?tokens|model token limit|range of input length"
    r"|input (token count|length|is too long)|prompt .{0,40}(exceeds|too large|too long)"
    r"|`?inputs`? .{0,40}(must be <=|must have less)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"\bmodel\b[^.]{0,80}\b(does not exist|not found|not exist)\b|\b(unknown|no such|invalid) model\b"
    r"|not a valid model\b|model identifier is invalid|model .{0,80}decommissioned",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(
    r"(invalid|incorrect|missing|no|wrong|expired) api[ _-]?key"
    r"|api[ _-]?key (is )?(not valid|invalid|not found|expired)"
    r"|credit balance is too low|insufficient (balance|credit|fund|quota)|account is (in good standing|suspended)",
    re.IGNORECASE,
)
_BY_WORDS = (
    (frozenset({400, 403, 422}), _FILTERED, ErrorCode.CONTENT_FILTERED),
    (frozenset({400}), _NO_ACCESS, ErrorCode.AUTHENTICATION),
    (frozenset({400, 413, 422}), _TOO_LONG, ErrorCode.CONTEXT_LENGTH_EXCEEDED),
    (frozenset({400, 413, 422}), _NO_MODEL, ErrorCode.MODEL_NOT_FOUND),
)


def code_by_words(status: int, words: str) -> ErrorCode | None:
    """The error code that a message implies; None if its status is specific enough or nothing matches."""
    return next((code for statuses, said, code in _BY_WORDS if status in statuses and said.search(words)), None)
