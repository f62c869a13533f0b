"""Turning what the client libraries raise into ProviderError.

The `openai` and `anthropic` clients come from one generator and share the shape of their exceptions. Nothing of a
key or a prompt may leave here: a provider's own words are passed on only where they repeat neither.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx2

from aiinfra.providers.base import ErrorCode, ProviderError, TokenUsage

MESSAGE_LENGTH = 300
ECHO_LENGTH = 12
"""So many characters that the provider's words share with the prompt are a quotation of it."""

REQUEST_ID_LENGTH = 200

_CONTENT_FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})
_STATUS_CODES = {
    401: ErrorCode.AUTHENTICATION,
    402: ErrorCode.AUTHENTICATION,
    403: ErrorCode.AUTHENTICATION,
    408: ErrorCode.TIMEOUT,
    429: ErrorCode.RATE_LIMITED,
}
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class StatusError(Protocol):
    """What `openai.APIStatusError` and `anthropic.APIStatusError` have in common."""

    status_code: int
    body: object | None
    response: httpx2.Response


def status_error(error: StatusError, messages: Sequence[Mapping[str, Any]], api_key: str) -> ProviderError:
    """The error behind an HTTP error status; none of those is billed."""
    details, status = _details(error.body), error.status_code
    labels = {name: details[name] for name in ("type", "code", "param") if _is_label(details.get(name))}
    code = _status_code(status, labels)
    # Providers repeat a part of a wrong key.
    words = "" if code == ErrorCode.AUTHENTICATION else _quotable(details.get("message"), messages, api_key)
    text = ": ".join(filter(None, [f"HTTP {status}", " ".join(labels.values()), words]))[:MESSAGE_LENGTH]
    wish = retry_after_s(error.response.headers)
    return ProviderError(code, text, may_be_billed=False, retry_after_s=wish, status=status)


def transport_error(cause: BaseException | None) -> ProviderError:
    """The error behind a call that got no answer; billed for all we know, once the request may have left."""
    may_be_billed = not isinstance(cause, _UNSENT)
    if isinstance(cause, httpx2.TimeoutException):
        return ProviderError(ErrorCode.TIMEOUT, "the provider did not answer in time", may_be_billed=may_be_billed)
    happened = "the connection broke" if may_be_billed else "the provider cannot be reached"
    return ProviderError(ErrorCode.CONNECTION_ERROR, happened, may_be_billed=may_be_billed)


def malformed_answer(usage: TokenUsage | None = None, raw_usage: dict[str, Any] | None = None) -> ProviderError:
    """The error for a success status with a body that cannot be understood."""
    message = "the provider's answer cannot be understood"
    return _billed(ErrorCode.SERVER_ERROR, message, usage, raw_usage)


def content_filtered(usage: TokenUsage | None, raw_usage: dict[str, Any]) -> ProviderError:
    """The error for an answer that the provider's filter emptied; the provider bills it like any other."""
    message = "the provider's content filter withheld the answer"
    return _billed(ErrorCode.CONTENT_FILTERED, message, usage, raw_usage)


def _billed(code: ErrorCode, message: str, usage: TokenUsage | None, raw_usage: dict[str, Any] | None) -> ProviderError:
    return ProviderError(code, message, may_be_billed=True, usage=usage, raw_usage=raw_usage, status=200)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds from now that a `Retry-After` header asks for (a number or an HTTP date), never negative; else None."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _status_code(status: int, labels: Mapping[str, str]) -> ErrorCode:
    if labels.get("code") in _CONTENT_FILTER_CODES:
        return ErrorCode.CONTENT_FILTERED
    if status >= 500:
        return ErrorCode.SERVER_ERROR
    return _STATUS_CODES.get(status, ErrorCode.INVALID_REQUEST)


def _details(body: object) -> Mapping[str, Any]:
    """The error object, which openai's client unwraps and anthropic's does not."""
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _is_label(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.\[\]-]{1,40}", value) is not None


def _quotable(words: object, messages: Sequence[Mapping[str, Any]], api_key: str) -> str:
    """The provider's words without the key; empty where they quote the prompt."""
    if not isinstance(words, str):
        return ""
    words = words[:MESSAGE_LENGTH]
    if any(_echoes(words, text) for message in messages for text in _texts(message.get("content"))):
        return ""
    return words.replace(api_key, "[key]") if api_key else words


def _echoes(words: str, text: str) -> bool:
    if len(text) < ECHO_LENGTH:
        return bool(text.strip()) and text.strip() in words
    return any(words[start : start + ECHO_LENGTH] in text for start in range(len(words) - ECHO_LENGTH + 1))


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, Mapping):
        return [text for value in content.values() for text in _texts(value)]
    if isinstance(content, Sequence):
        return [text for part in content for text in _texts(part)]
    return []
