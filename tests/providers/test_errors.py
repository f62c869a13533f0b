"""What becomes of the client libraries' exceptions."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from aiinfra.providers.adapters.errors import MESSAGE_LENGTH, retry_after_s, status_error, transport_error
from aiinfra.providers.base import ErrorCode, ProviderError

KEY = "sk-very-secret-key"
MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "the merger with Initech is off"}]}]


@dataclass
class Raised:
    """What both libraries' status errors look like."""

    status_code: int
    body: object
    response: httpx2.Response


def mapped(status: int, body: object = None, **headers: str) -> ProviderError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status_error(Raised(status, body, httpx2.Response(status, headers=named)), MESSAGES, KEY)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (302, ErrorCode.INVALID_REQUEST),
        (400, ErrorCode.INVALID_REQUEST),
        (401, ErrorCode.AUTHENTICATION),
        (402, ErrorCode.AUTHENTICATION),
        (403, ErrorCode.AUTHENTICATION),
        (404, ErrorCode.INVALID_REQUEST),
        (408, ErrorCode.TIMEOUT),
        (413, ErrorCode.INVALID_REQUEST),
        (422, ErrorCode.INVALID_REQUEST),
        (429, ErrorCode.RATE_LIMITED),
        (500, ErrorCode.SERVER_ERROR),
        (529, ErrorCode.SERVER_ERROR),
    ],
)
def test_an_error_status_has_a_code_and_costs_nothing(status: int, code: ErrorCode) -> None:
    error = mapped(status)
    assert (error.code, error.status, error.may_be_billed) == (code, status, False)


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_content_filter_is_known_by_its_code(code: str) -> None:
    assert mapped(400, {"code": code, "message": "no"}).code is ErrorCode.CONTENT_FILTERED
    assert mapped(400, {"error": {"code": code}}).code is ErrorCode.CONTENT_FILTERED


@pytest.mark.parametrize(
    ("cause", "code", "billed"),
    [
        (httpx2.ConnectError("refused"), ErrorCode.CONNECTION_ERROR, False),
        (httpx2.ConnectTimeout("slow"), ErrorCode.TIMEOUT, False),
        (httpx2.PoolTimeout("busy"), ErrorCode.TIMEOUT, False),
        (httpx2.ReadTimeout("slow"), ErrorCode.TIMEOUT, True),
        (httpx2.WriteTimeout("slow"), ErrorCode.TIMEOUT, True),
        (httpx2.ReadError("reset"), ErrorCode.CONNECTION_ERROR, True),
        (httpx2.RemoteProtocolError("nonsense"), ErrorCode.CONNECTION_ERROR, True),
        (None, ErrorCode.CONNECTION_ERROR, True),
    ],
)
def test_only_what_surely_was_not_sent_is_surely_not_billed(
    cause: Exception | None, code: ErrorCode, billed: bool
) -> None:
    error = transport_error(cause)
    assert (error.code, error.may_be_billed) == (code, billed)


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0", 0.0), ("1.5", 1.5), (" 3 ", 3.0)])
def test_retry_after_as_a_number(value: str, seconds: float) -> None:
    assert retry_after_s({"retry-after": value}) == seconds
    assert mapped(429, retry_after=value).retry_after_s == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    earlier = format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)
    seconds = retry_after_s({"retry-after": later})
    assert seconds is not None
    assert 50 < seconds <= 60
    assert retry_after_s({"retry-after": earlier}) == 0


@pytest.mark.parametrize("value", ["", "soon", "-3", "nan", "inf", "1e9", "9" * 400, "Mon, 99 Nov 2026 00:00:00 GMT"])
def test_a_senseless_retry_after_is_none(value: str) -> None:
    assert retry_after_s({"retry-after": value}) is None


def test_the_message_helps_and_is_short() -> None:
    error = mapped(404, {"message": "no such model" + "!" * 1000, "type": "invalid_request_error", "param": "model"})
    assert error.message.startswith("HTTP 404: invalid_request_error model: no such model")
    assert len(error.message) == MESSAGE_LENGTH


def test_the_message_holds_no_key() -> None:
    assert KEY not in mapped(400, {"message": f"bad header {KEY}"}).message
    assert mapped(401, {"message": "Incorrect API key provided: sk-ve*****-key"}).message == "HTTP 401"


@pytest.mark.parametrize("quote", ["the merger with Initech is off", "unexpected: 'merger with Initech'"])
def test_the_message_does_not_quote_the_prompt(quote: str) -> None:
    assert mapped(400, {"message": quote, "param": "merger with Initech"}).message == "HTTP 400"


@pytest.mark.parametrize("body", [None, "text", [], {"error": "text"}, {"message": 3, "code": {"a": 1}}])
def test_a_body_of_any_shape_is_survived(body: object) -> None:
    assert mapped(500, body).message == "HTTP 500"
