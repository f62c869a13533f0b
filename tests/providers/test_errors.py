"""How exceptions of the client libraries are converted."""

from dataclasses import dataclass

import httpx2
import pytest

from aiinfra.egress import AnswerTooLargeError
from aiinfra.providers.adapters.errors import MESSAGE_LENGTH, error_in_answer, status_error, transport_error
from aiinfra.providers.base import ErrorCode, ProviderError

KEY = "sk-very-secret-key"
MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "the merger with Initech is off"}]}]


@dataclass
class Raised:
    """The interface of both libraries' status errors."""

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
        (404, ErrorCode.MODEL_NOT_FOUND),
        (408, ErrorCode.TIMEOUT),
        (409, ErrorCode.CONFLICT),
        (410, ErrorCode.MODEL_NOT_FOUND),
        (413, ErrorCode.REQUEST_TOO_LARGE),
        (418, ErrorCode.INVALID_REQUEST),
        (422, ErrorCode.INVALID_REQUEST),
        (423, ErrorCode.CONFLICT),
        (424, ErrorCode.SERVER_ERROR),
        (425, ErrorCode.CONFLICT),
        (429, ErrorCode.RATE_LIMITED),
        (498, ErrorCode.RATE_LIMITED),
        (499, ErrorCode.TIMEOUT),
        (500, ErrorCode.SERVER_ERROR),
        (529, ErrorCode.SERVER_ERROR),
    ],
)
def test_error_status_has_a_code_and_is_not_billed(status: int, code: ErrorCode) -> None:
    error = mapped(status)
    assert (error.code, error.status, error.may_be_billed) == (code, status, False)


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_content_filter_is_recognized_by_its_code(code: str) -> None:
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
        (httpx2.DecodingError("no gzip"), ErrorCode.UNREADABLE_ANSWER, True),
        (AnswerTooLargeError("large"), ErrorCode.ANSWER_TOO_LARGE, True),
        (None, ErrorCode.CONNECTION_ERROR, True),
    ],
)
def test_only_unsent_calls_are_certainly_not_billed(cause: Exception | None, code: ErrorCode, billed: bool) -> None:
    error = transport_error(cause)
    assert (error.code, error.may_be_billed) == (code, billed)


TOO_LONG = [
    {"message": "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000"},
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"},
    {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048."},
    {"message": "Range of input length should be [1, 30720]"},
    {"message": "Invalid request: Your request exceeded model token limit: 8192"},
    {"message": "Input length 100000 exceeds the maximum length 98304"},
    [{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens"}}],
]
NO_MODEL = [
    {"code": "model_decommissioned"},
    {"code": "invalid_model"},
    {"message": "The model `gemma-7b-it` has been decommissioned and is no longer supported."},
    {"message": "no/such is not a valid model ID"},
    {"message": "The provided model identifier is invalid."},
    {"error": {"code": "DeploymentNotFound"}},
]
NO_ACCESS = [
    {"message": "Your credit balance is too low to access the Anthropic API."},
    [{"error": {"message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}],
    "Incorrect API key provided: xa***yz. You can obtain an API key from the console.",
    {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
]
FILTERED = [
    {"message": "Content Exists Risk"},
    {"message": "Output blocked by content filtering policy"},
    {"code": "data_inspection_failed", "message": "Output data may contain inappropriate content."},
    {"message": "Your chosen model requires moderation and your input was flagged for violence."},
    {"message": "Your prompt was flagged as potentially violating our usage policy"},
    {"error": "Content violates usage guidelines. Team: 7, API key ID: 9"},
]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"code": "context_length_exceeded", "message": "long"}, ErrorCode.CONTEXT_LENGTH_EXCEEDED),
        (400, {"type": "exceed_context_size_error"}, ErrorCode.CONTEXT_LENGTH_EXCEEDED),
        (400, {"error": {"message": "prompt is too long: 208310 tokens > 200000"}}, ErrorCode.CONTEXT_LENGTH_EXCEEDED),
        (400, {"message": "This model's maximum context length is 4096 tokens."}, ErrorCode.CONTEXT_LENGTH_EXCEEDED),
        (422, {"detail": [{"msg": "Prompt exceeds the context window"}]}, ErrorCode.CONTEXT_LENGTH_EXCEEDED),
        (413, {"message": "too many tokens"}, ErrorCode.CONTEXT_LENGTH_EXCEEDED),
        (400, {"code": "model_not_found"}, ErrorCode.MODEL_NOT_FOUND),
        (400, {"message": "Model Not Exist"}, ErrorCode.MODEL_NOT_FOUND),
        (400, {"message": "The model `gpt-9` does not exist or you do not have access."}, ErrorCode.MODEL_NOT_FOUND),
        (429, {"code": "insufficient_quota"}, ErrorCode.AUTHENTICATION),
        (429, {"code": "rate_limit_exceeded"}, ErrorCode.RATE_LIMITED),
        (500, {"message": "maximum context length"}, ErrorCode.SERVER_ERROR),
        (400, {"message": "'max_tokens' is not supported with this model"}, ErrorCode.INVALID_REQUEST),
        (503, {"code": "model_not_found"}, ErrorCode.MODEL_NOT_FOUND),
        *((400, words, ErrorCode.CONTEXT_LENGTH_EXCEEDED) for words in TOO_LONG),
        *((400, words, ErrorCode.MODEL_NOT_FOUND) for words in NO_MODEL),
        *((400, words, ErrorCode.AUTHENTICATION) for words in NO_ACCESS),
        *((status, words, ErrorCode.CONTENT_FILTERED) for status in (400, 403) for words in FILTERED),
        (400, {"message": "messages: roles must alternate"}, ErrorCode.INVALID_REQUEST),
        (400, {"message": "max_tokens: 100000 > 8192, the maximum for this model"}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_invalid_requests_are_recognized_by_code_or_text(status: int, body: object, code: ErrorCode) -> None:
    assert mapped(status, body).code is code


@pytest.mark.parametrize(
    ("error", "code", "billed", "words"),
    [
        ("out of capacity", ErrorCode.SERVER_ERROR, True, "out of capacity"),
        ({"message": "slow down", "code": 429}, ErrorCode.RATE_LIMITED, False, "slow down"),
        ({"message": "no such model", "code": "404"}, ErrorCode.MODEL_NOT_FOUND, False, "no such model"),
        ({"message": "bad \0 luck\ud800", "type": "server_error"}, ErrorCode.SERVER_ERROR, True, "server_error: bad"),
        ({"code": "insufficient_quota", "status": 402}, ErrorCode.AUTHENTICATION, False, "insufficient_quota"),
        ({"type": "overloaded_error", "message": "Overloaded"}, ErrorCode.SERVER_ERROR, False, "Overloaded"),
        ({"type": "rate_limit_error", "message": "slow"}, ErrorCode.RATE_LIMITED, False, "slow"),
        ({"status": "RESOURCE_EXHAUSTED", "message": "slow"}, ErrorCode.RATE_LIMITED, False, "slow"),
        ({"code": "context_length_exceeded"}, ErrorCode.CONTEXT_LENGTH_EXCEEDED, True, "context_length_exceeded"),
        (True, ErrorCode.SERVER_ERROR, True, ""),
        ([1, 2], ErrorCode.SERVER_ERROR, True, ""),
    ],
)
def test_error_in_a_successful_response_keeps_the_providers_message(
    error: object, code: ErrorCode, billed: bool, words: str
) -> None:
    made = error_in_answer(error, MESSAGES, KEY)
    assert (made.code, made.may_be_billed, made.status) == (code, billed, 200)
    assert words in made.message
    assert made.message.startswith("The provider returned HTTP 200 with an error")
    assert "\0" not in made.message
    assert made.message.encode()


def test_message_is_helpful_and_short() -> None:
    error = mapped(404, {"message": "no such model" + "!" * 1000, "type": "invalid_request_error", "param": "model"})
    assert error.message.startswith("The provider returned HTTP 404: invalid_request_error model: no such model")
    assert len(error.message) == MESSAGE_LENGTH


@pytest.mark.parametrize(
    "body",
    [
        {"error": "out of luck"},
        "out of luck",
        {"detail": "out of luck"},
        {"detail": [{"loc": ["body"], "msg": "out of luck"}]},
        {"message": {"detail": [{"msg": "out of luck"}]}},
        {"object": "error", "Message": "out of luck"},
        {"error": {"detail": "out of luck"}},
        {"error_code": 110, "error_msg": "out of luck"},
        [{"error": {"code": 400, "message": "out of luck", "status": "FAILED_PRECONDITION"}}],
    ],
)
def test_message_is_found_in_every_server_format(body: object) -> None:
    assert "out of luck" in mapped(400, body).message


def test_html_page_is_not_quoted() -> None:
    assert mapped(502, " <html><h1>Bad gateway</h1></html>").message == "The provider returned HTTP 502."


def test_message_contains_no_part_of_the_key() -> None:
    assert KEY[:8] not in mapped(400, {"message": "x" * (MESSAGE_LENGTH - 10) + KEY}).message
    assert KEY not in mapped(400, {"message": "bad", "param": KEY}).message
    assert KEY not in mapped(400, {"message": f"bad header {KEY}"}).message
    assert (
        mapped(401, {"message": "Incorrect API key provided: sk-ve*****-key"}).message
        == "The provider returned HTTP 401."
    )


@pytest.mark.parametrize("quote", ["the merger with Initech is off", "unexpected: 'merger with Initech'"])
def test_message_does_not_quote_the_prompt(quote: str) -> None:
    assert mapped(400, {"message": quote, "param": "merger with Initech"}).message == "The provider returned HTTP 400."


@pytest.mark.parametrize("message", ["nul \0 nul", "half \ud800 a pair", "bell \a and \x1b[31mcolor", "a\nb\r\nc"])
def test_message_has_no_control_characters(message: str) -> None:
    text = mapped(400, {"message": message}).message
    assert text.encode()
    assert text.isprintable()


@pytest.mark.parametrize("body", [None, "text", [], {"error": "text"}, {"message": 3, "code": {"a": 1}}])
def test_body_of_any_shape_is_handled(body: object) -> None:
    assert mapped(500, body).message == "The provider returned HTTP 500."
