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
from aiinfra.providers.adapters.error_words import BY_LABEL, STATUS_BY_LABEL, code_by_words
from aiinfra.providers.backoff import RETRY_AFTER_MAX_S
from aiinfra.providers.base import ErrorCode, ProviderError, TokenUsage
from aiinfra.retry_after import retry_after_s

MESSAGE_LENGTH = 300
ECHO_LENGTH = 12
"""A common substring of this length counts as a quotation of the prompt."""
WORDS_READ = 4_000
"""Characters of an error body that are searched."""

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
    498: ErrorCode.RATE_LIMITED,
    499: ErrorCode.TIMEOUT,
}
_MESSAGES = ("message", "Message", "detail", "msg", "error", "error_msg", "status_msg", "errors")
"""The members of an error body that may contain its message, in order of preference."""
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class StatusError(Protocol):
    """What `openai.APIStatusError` and `anthropic.APIStatusError` have in common."""

    status_code: int
    body: object | None
    response: httpx2.Response


def status_error(error: StatusError, messages: Sequence[Mapping[str, Any]], api_key: str) -> ProviderError:
    """Convert an HTTP error status. These are never billed."""
    status, body = error.status_code, clean_tree(error.body)
    code, text = _read(status, body, messages, api_key)
    wish = retry_after_s(error.response.headers, RETRY_AFTER_MAX_S)
    message = _sentence(f"The provider returned HTTP {status}", text)
    return ProviderError(code, message, may_be_billed=False, retry_after_s=wish, status=status)


def error_in(body: Mapping[str, Any], *, has_answer: bool) -> object:
    """The error in a success response: its `error` member, or the body if it has a message but no answer; or None."""
    if body.get("error") or has_answer:
        return body.get("error")
    details = body.get("base_resp") or body  # MiniMax
    return details if _message_in(details) else None


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
    message = _sentence("The provider returned HTTP 200 with an error", text)
    return ProviderError(code, message, may_be_billed=status is None, usage=usage, raw_usage=raw_usage, status=200)


def transport_error(cause: BaseException | None) -> ProviderError:
    """Convert a call without a response; assumed billed if the request may have been sent."""
    may_be_billed = not isinstance(cause, _UNSENT)
    if isinstance(cause, AnswerTooLargeError):
        return ProviderError(ErrorCode.ANSWER_TOO_LARGE, str(cause), may_be_billed=True, status=200)
    if isinstance(cause, httpx2.DecodingError):
        return unreadable_answer()
    if isinstance(cause, httpx2.TimeoutException):
        return ProviderError(ErrorCode.TIMEOUT, "The provider timed out.", may_be_billed=may_be_billed)
    happened = "The connection to the provider broke." if may_be_billed else "The provider could not be reached."
    return ProviderError(ErrorCode.CONNECTION_ERROR, happened, may_be_billed=may_be_billed)


def unreadable_answer(usage: TokenUsage | None = None, raw_usage: dict[str, Any] | None = None) -> ProviderError:
    """A success status with a body that cannot be parsed."""
    message = "The provider's answer could not be parsed."
    return _billed(ErrorCode.UNREADABLE_ANSWER, message, usage, raw_usage)


def empty_answer(reason: str, usage: TokenUsage | None, raw_usage: dict[str, Any]) -> ProviderError:
    """A success response without an answer; `reason` says what is missing. Billed like any other answer."""
    return _billed(ErrorCode.EMPTY_ANSWER, reason, usage, raw_usage)


def content_filtered(usage: TokenUsage | None, raw_usage: dict[str, Any]) -> ProviderError:
    """An answer that the provider's content filter removed. Billed like any other answer."""
    message = "The provider's content filter withheld the answer."
    return _billed(ErrorCode.CONTENT_FILTERED, message, usage, raw_usage)


def _sentence(happened: str, text: str) -> str:
    """What happened, followed by the provider's message, if any."""
    message = ": ".join(filter(None, [happened, text]))[:MESSAGE_LENGTH]
    is_whole = len(message) == MESSAGE_LENGTH or message.endswith((".", "!", "?"))
    return message if is_whole else f"{message}."


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
    # Providers repeat a part of a wrong key.
    words = "" if code == ErrorCode.AUTHENTICATION else _quotable(_message_in(body), messages, api_key)
    return code, ": ".join(filter(None, [" ".join(labels), words]))


def _code(status: int, labels: Sequence[str], words: str) -> ErrorCode:
    named = next((BY_LABEL[label] for label in labels if label in BY_LABEL), None)
    if named is not None:
        return named
    if status >= 500:
        return ErrorCode.SERVER_ERROR
    return code_by_words(status, words) or _BY_STATUS.get(status, ErrorCode.INVALID_REQUEST)


def _status_in(body: object) -> int | None:
    """The HTTP error status that an error object names, as OpenRouter's do, or that its label stands for."""
    details = _details(body)
    for name in ("status", "code", "type"):
        value = str(details.get(name))
        if re.fullmatch(r"[45]\d\d", value, re.ASCII):
            return int(value)
        if value in STATUS_BY_LABEL:
            return STATUS_BY_LABEL[value]
    return None


def _details(body: object) -> Mapping[str, Any]:
    """The error object: openai's client unwraps it, anthropic's does not, and Google puts it into a list."""
    if isinstance(body, Sequence) and not isinstance(body, str) and len(body) == 1:
        body = body[0]
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _message_in(body: object) -> str:
    """The message in an error body; empty for an HTML page and for a body without a message."""
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body
    details = _details(body)
    said = (" ".join(_texts(details[name])) for name in _MESSAGES if details.get(name))
    return next(filter(None, said), "")


def _is_label(value: object, api_key: str) -> bool:
    if not isinstance(value, str) or (api_key and api_key in value):
        return False
    return re.fullmatch(r"[\w.\[\]-]{1,40}", value) is not None


def _quotable(words: str, messages: Sequence[Mapping[str, Any]], api_key: str) -> str:
    """The provider's message without the key; empty if it quotes the prompt."""
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
