"""Converts error statuses, error objects and client exceptions to ProviderError.

The `openai` and `anthropic` clients come from one generator and share the shape of their exceptions. No part of a key
or a prompt may leave here: a provider's own text is passed on only if it repeats neither.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import httpx2

from aiinfra.egress import AnswerTooLargeError
from aiinfra.providers.adapters.cleaning import clean_tree, one_line
from aiinfra.providers.adapters.retry_after import retry_after_s
from aiinfra.providers.base import ErrorCode, ProviderError, TokenUsage

MESSAGE_LENGTH = 300
ECHO_LENGTH = 12
"""A shared run of this many characters counts as a quotation of the prompt."""
WORDS_READ = 4_000
"""Characters of an error body that are searched."""

_BY_LABEL = {
    "content_filter": ErrorCode.CONTENT_FILTERED,
    "content_policy_violation": ErrorCode.CONTENT_FILTERED,
    "context_length_exceeded": ErrorCode.CONTEXT_LENGTH_EXCEEDED,
    "exceed_context_size_error": ErrorCode.CONTEXT_LENGTH_EXCEEDED,
    "model_not_found": ErrorCode.MODEL_NOT_FOUND,
    "request_too_large": ErrorCode.REQUEST_TOO_LARGE,
    "insufficient_quota": ErrorCode.AUTHENTICATION,
}
"""An error's `code` or `type`, as OpenAI, Anthropic and llama.cpp write them."""
_BY_STATUS = {
    401: ErrorCode.AUTHENTICATION,
    402: ErrorCode.AUTHENTICATION,
    403: ErrorCode.AUTHENTICATION,
    404: ErrorCode.MODEL_NOT_FOUND,
    408: ErrorCode.TIMEOUT,
    409: ErrorCode.CONFLICT,
    410: ErrorCode.MODEL_NOT_FOUND,
    413: ErrorCode.REQUEST_TOO_LARGE,
    423: ErrorCode.CONFLICT,
    424: ErrorCode.SERVER_ERROR,
    425: ErrorCode.CONFLICT,
    429: ErrorCode.RATE_LIMITED,
}
_ABOUT_THE_REQUEST = frozenset({400, 413, 422})
"""Statuses whose text is searched: providers report a long prompt or an unknown model with any of them."""
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|prompt is too long|too many (input |prompt )?tokens"
    r"|input (token count|is too long)|prompt .{0,40}(exceeds|too large|too long)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"\bmodel\b[^.]{0,80}\b(does not exist|not found|not exist)\b|\b(unknown|no such|invalid) model\b", re.IGNORECASE
)
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class StatusError(Protocol):
    """What `openai.APIStatusError` and `anthropic.APIStatusError` have in common."""

    status_code: int
    body: object | None
    response: httpx2.Response


def status_error(error: StatusError, messages: Sequence[Mapping[str, Any]], api_key: str) -> ProviderError:
    """Convert an HTTP error status; none of those is billed."""
    status, body = error.status_code, clean_tree(error.body)
    code, text = _read(status, body, messages, api_key)
    wish = retry_after_s(error.response.headers)
    message = ": ".join(filter(None, [f"HTTP {status}", text]))[:MESSAGE_LENGTH]
    return ProviderError(code, message, may_be_billed=False, retry_after_s=wish, status=status)


def error_in_answer(
    error: object,
    messages: Sequence[Mapping[str, Any]],
    api_key: str,
    usage: TokenUsage | None = None,
    raw_usage: dict[str, Any] | None = None,
) -> ProviderError:
    """Convert a success status whose body carries an `error`.

    An error that names an HTTP error status is not billed, like the status itself; otherwise the call may be billed.
    """
    body = {"message": error} if isinstance(error, str) else clean_tree(error)
    status = _status_in(body)
    code, text = _read(status or 500, body, messages, api_key)
    message = ": ".join(filter(None, ["HTTP 200 with an error", text]))[:MESSAGE_LENGTH]
    return ProviderError(code, message, may_be_billed=status is None, usage=usage, raw_usage=raw_usage, status=200)


def transport_error(cause: BaseException | None) -> ProviderError:
    """Convert a call that got no answer; assumed billed if the request may have been sent."""
    may_be_billed = not isinstance(cause, _UNSENT)
    if isinstance(cause, AnswerTooLargeError):
        return ProviderError(ErrorCode.ANSWER_TOO_LARGE, str(cause), may_be_billed=True, status=200)
    if isinstance(cause, httpx2.DecodingError):
        return unreadable_answer()
    if isinstance(cause, httpx2.TimeoutException):
        return ProviderError(ErrorCode.TIMEOUT, "the provider timed out", may_be_billed=may_be_billed)
    happened = "the connection broke" if may_be_billed else "could not reach the provider"
    return ProviderError(ErrorCode.CONNECTION_ERROR, happened, may_be_billed=may_be_billed)


def unreadable_answer(usage: TokenUsage | None = None, raw_usage: dict[str, Any] | None = None) -> ProviderError:
    """A success status with a body that cannot be parsed."""
    message = "could not parse the provider's answer"
    return _billed(ErrorCode.UNREADABLE_ANSWER, message, usage, raw_usage)


def empty_answer(reason: str, usage: TokenUsage | None, raw_usage: dict[str, Any]) -> ProviderError:
    """A success that answers nothing; `reason` says what is missing. Billed like any other answer."""
    return _billed(ErrorCode.EMPTY_ANSWER, reason, usage, raw_usage)


def content_filtered(usage: TokenUsage | None, raw_usage: dict[str, Any]) -> ProviderError:
    """An answer that the provider's filter emptied; the provider bills it like any other."""
    message = "the provider's content filter withheld the answer"
    return _billed(ErrorCode.CONTENT_FILTERED, message, usage, raw_usage)


def _billed(code: ErrorCode, message: str, usage: TokenUsage | None, raw_usage: dict[str, Any] | None) -> ProviderError:
    return ProviderError(code, message, may_be_billed=True, usage=usage, raw_usage=raw_usage, status=200)


def words_of(body: object) -> str:
    """All texts of an error body, joined; at most `WORDS_READ` characters."""
    found, length = [], 0
    for text in _texts(clean_tree(body)):
        found.append(text)
        length += len(text)
        if length > WORDS_READ:
            break
    return " ".join(found)[:WORDS_READ]


def _read(status: int, body: object, messages: Sequence[Mapping[str, Any]], api_key: str) -> tuple[ErrorCode, str]:
    """The error code, and the part of the provider's text that may be shown."""
    details = _details(body)
    labels = [details[name] for name in ("type", "code", "param") if _is_label(details.get(name), api_key)]
    code = _code(status, labels, words_of(body))
    # Providers echo part of a wrong key.
    words = "" if code == ErrorCode.AUTHENTICATION else _quotable(details.get("message"), messages, api_key)
    return code, ": ".join(filter(None, [" ".join(labels), words]))


def _code(status: int, labels: Sequence[str], words: str) -> ErrorCode:
    if status >= 500:
        return ErrorCode.SERVER_ERROR
    named = next((_BY_LABEL[label] for label in labels if label in _BY_LABEL), None)
    if named is not None:
        return named
    if status in _ABOUT_THE_REQUEST and _TOO_LONG.search(words):
        return ErrorCode.CONTEXT_LENGTH_EXCEEDED
    if status in _ABOUT_THE_REQUEST and _NO_MODEL.search(words):
        return ErrorCode.MODEL_NOT_FOUND
    return _BY_STATUS.get(status, ErrorCode.INVALID_REQUEST)


def _status_in(body: object) -> int | None:
    """The HTTP error status inside an error object, such as OpenRouter's."""
    details = _details(body)
    for name in ("status", "code"):
        value = details.get(name)
        if str(value).isascii() and re.fullmatch(r"[45]\d\d", str(value)):
            return int(str(value))
    return None


def _details(body: object) -> Mapping[str, Any]:
    """The error object, which openai's client unwraps and anthropic's does not."""
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _is_label(value: object, api_key: str) -> bool:
    if not isinstance(value, str) or (api_key and api_key in value):
        return False
    return re.fullmatch(r"[\w.\[\]-]{1,40}", value) is not None


def _quotable(words: object, messages: Sequence[Mapping[str, Any]], api_key: str) -> str:
    """The provider's text without the key; empty if it quotes the prompt."""
    if not isinstance(words, str):
        return ""
    words = words[:WORDS_READ]
    words = one_line(words.replace(api_key, "[key]") if api_key else words, MESSAGE_LENGTH)
    if any(_echoes(words, text) for message in messages for text in _texts(message.get("content"))):
        return ""
    return words


def _echoes(words: str, text: str) -> bool:
    if len(text) < ECHO_LENGTH:
        return bool(text.strip()) and text.strip() in words
    return any(words[start : start + ECHO_LENGTH] in text for start in range(len(words) - ECHO_LENGTH + 1))


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _texts(value)
    elif isinstance(content, Sequence):
        for part in content:
            yield from _texts(part)
