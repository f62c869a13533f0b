"""The interface of provider adapters: arguments, results and errors."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID


class ErrorCode(StrEnum):
    """Why a call failed. `HANDLING` says what each code means."""

    RATE_LIMITED = "RATE_LIMITED"
    TIMEOUT = "TIMEOUT"
    CONNECTION_ERROR = "CONNECTION_ERROR"
    SERVER_ERROR = "SERVER_ERROR"
    CONFLICT = "CONFLICT"
    EMPTY_ANSWER = "EMPTY_ANSWER"
    UNREADABLE_ANSWER = "UNREADABLE_ANSWER"
    ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    CONTEXT_LENGTH_EXCEEDED = "CONTEXT_LENGTH_EXCEEDED"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    AUTHENTICATION = "AUTHENTICATION"
    INVALID_REQUEST = "INVALID_REQUEST"
    CONTENT_FILTERED = "CONTENT_FILTERED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    CALLER_LOST = "CALLER_LOST"


class Action(StrEnum):
    """What happens after a failed call. After the last retry, the next model is tried."""

    REPEAT = "repeat"
    NEXT_MODEL = "next model"
    FAIL = "fail"
    WAIT = "next model, or wait for the probe"


@dataclass(frozen=True)
class Handling:
    """One row of the error table. `is_fault`: counts as an outage. `trips`: counts for the circuit breaker."""

    then: Action
    when: str
    is_fault: bool = False
    trips: bool = False


HANDLING = {
    ErrorCode.RATE_LIMITED: Handling(Action.REPEAT, "429, 498", is_fault=True),
    ErrorCode.TIMEOUT: Handling(Action.REPEAT, "no answer within the deadline; 408, 499", is_fault=True, trips=True),
    ErrorCode.CONNECTION_ERROR: Handling(Action.REPEAT, "refused, not found, or broken", is_fault=True, trips=True),
    ErrorCode.SERVER_ERROR: Handling(
        Action.REPEAT, "5xx, 424, or a success that carries an `error`", is_fault=True, trips=True
    ),
    ErrorCode.CONFLICT: Handling(Action.REPEAT, "409, 423, 425"),
    ErrorCode.EMPTY_ANSWER: Handling(
        Action.REPEAT, "no text or tool call, or a finish reason that is missing or reports an error", is_fault=True
    ),
    ErrorCode.UNREADABLE_ANSWER: Handling(Action.REPEAT, "a success with a body that cannot be parsed", is_fault=True),
    ErrorCode.ANSWER_TOO_LARGE: Handling(
        Action.NEXT_MODEL, "a success with a body larger than `PROVIDER_ANSWER_MAX_MIB`", is_fault=True
    ),
    ErrorCode.MODEL_NOT_FOUND: Handling(Action.NEXT_MODEL, "404, 410, `model_not_found`"),
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: Handling(Action.NEXT_MODEL, "the prompt is too long for the model"),
    ErrorCode.REQUEST_TOO_LARGE: Handling(Action.NEXT_MODEL, "413"),
    ErrorCode.AUTHENTICATION: Handling(Action.NEXT_MODEL, "401, 402, 403, `insufficient_quota`", is_fault=True),
    ErrorCode.INVALID_REQUEST: Handling(Action.FAIL, "other 4xx, redirects"),
    ErrorCode.CONTENT_FILTERED: Handling(Action.FAIL, "a content filter refused the prompt or withheld the answer"),
    ErrorCode.INTERNAL_ERROR: Handling(Action.FAIL, "a bug in aiinfra stopped the call or its booking"),
    ErrorCode.CIRCUIT_OPEN: Handling(Action.WAIT, "the circuit breaker is open; no call was made"),
    ErrorCode.CALLER_LOST: Handling(
        Action.FAIL, "the client of a stream left, and the answer did not end within `STREAM_DRAIN_S`"
    ),
}
"""What each error code leads to; `docs/reliability.md` prints this table."""


def _codes(matches: Callable[[Handling], bool]) -> frozenset[ErrorCode]:
    return frozenset(code for code, handling in HANDLING.items() if matches(handling))


RETRYABLE = _codes(lambda handling: handling.then in {Action.REPEAT, Action.WAIT})
TRY_ELSEWHERE = _codes(lambda handling: handling.then == Action.NEXT_MODEL)
"""Not retried, but another model may succeed."""
PROVIDER_FAULTS = _codes(lambda handling: handling.is_fault)
"""Faults of the provider. With the other codes the caller made a mistake, or no call was made."""


@dataclass(frozen=True)
class TokenUsage:
    """What one call used. Token classes are disjoint, except that `reasoning` is part of `output`."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    """Written to a prompt cache that lives 5 minutes, or whose lifetime the provider does not state."""
    output: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0
    """Written to a prompt cache that lives 1 hour."""
    tool_uses: Mapping[str, int] = field(default_factory=dict)
    """Uses of tools that the provider bills per use, such as `web_search`: 2."""
    tier: str = "standard"
    """The service tier that answered, which may differ from the requested one."""
    reported_nano: int | None = None
    """The cost in nano-dollars that the provider reports; None if it reports none."""

    @property
    def prompt(self) -> int:
        """The whole prompt, including its cached parts, as OpenAI counts it."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def total(self) -> int:
        """All input and output tokens."""
        return self.prompt + self.output


@dataclass(frozen=True)
class ProviderAttempt:
    """The booked attempt that a call belongs to. Nothing can be sent without one."""

    id: UUID
    organization_id: int
    provider: str
    model: str


class Dialect(StrEnum):
    """The language of a call: OpenAI's chat completions or Anthropic's messages."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True)
class ChatCall:
    """A chat call as the client sent it. `max_tokens` is always sent, because the reservation is based on it."""

    messages: list[dict[str, Any]]
    max_tokens: int
    timeout_s: float
    temperature: float | None = None
    service_tier: str | None = None
    """auto, standard, flex or priority; None leaves the choice to the provider."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """All other parameters by their names in the dialect: tools, response format, stop sequences and so on."""
    dialect: Dialect = Dialect.OPENAI
    """The dialect of messages and parameters. Adapters of the other one translate."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The vendor's own headers, such as `anthropic-beta`; for providers of the same dialect."""


@dataclass(frozen=True)
class EmbeddingCall:
    """Texts to embed, or the tokens of each. `parameters` are all others by OpenAI's names, such as dimensions."""

    texts: list[Any]
    timeout_s: float
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EmbeddingAnswer:
    """One vector per text, in the same order. `usage` and `raw_usage` are those of `ChatAnswer`."""

    vectors: list[list[float]]
    usage: TokenUsage | None
    raw_usage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatAnswer:
    """A clean answer: text that every database and UTF-8 can store.

    `usage` is None if the provider sent none or an impossible one. `raw_usage` is what it sent in either case.
    """

    content: str
    finish_reason: str
    usage: TokenUsage | None
    raw_usage: dict[str, Any] = field(default_factory=dict)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Everything besides text and tool calls, such as thinking blocks."""
    refused: bool = False
    """The model declined to answer; `content` is its explanation."""
    provider_request_id: str = ""
    model: str = ""
    """The model that answered, as the provider calls it."""
    first_token_at: float | None = field(default=None, compare=False)
    """When the first part of a streamed answer arrived, by `time.monotonic`. None if it was not streamed."""
    native: dict[str, Any] = field(default_factory=dict)
    """What only one dialect can say of an answer. OpenAI: `message` (further fields of it, such as
    `reasoning_content`), `logprobs`, `system_fingerprint`, and further members of the `choice` and the `completion`.
    Anthropic: `content` (all blocks in order), `stop_reason` with `stop_sequence`, and `further` members."""


@dataclass(frozen=True)
class StreamEvent:
    """One event of a streamed answer: its name ("" in OpenAI's dialect), and its data as sent and parsed."""

    name: str
    text: str
    data: dict[str, Any]


ChatStream = Generator[StreamEvent, None, ChatAnswer]
"""The events of an answer as they arrive; the return value is the whole answer. `close()` ends the call."""


class ProviderError(Exception):
    """A call without an answer.

    `may_be_billed` is False only if the provider certainly charged nothing (refused connection, HTTP error status);
    after a timeout or a reset the money may be spent. `usage` is what was billed, if the provider said so, and
    `raw_usage` the provider's own report. `retry_after_s` is the wait that the provider asked for, in seconds.
    `has_begun` is True if the client already has a part of the answer: another one cannot follow it.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        may_be_billed: bool,
        usage: TokenUsage | None = None,
        raw_usage: dict[str, Any] | None = None,
        retry_after_s: float | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.may_be_billed = may_be_billed
        self.usage = usage
        self.raw_usage = raw_usage or {}
        self.retry_after_s = retry_after_s
        self.status = status
        self.has_begun = False

    @property
    def retryable(self) -> bool:
        """Whether the same call can be retried."""
        return self.code in RETRYABLE


class BillState(StrEnum):
    """What a provider knows about a call whose outcome we missed."""

    BILLED = "billed"
    RUNNING = "running"
    NOT_BILLED = "not_billed"
    CANNOT_SAY = "cannot_say"


class ProviderAdapter(Protocol):
    """Speaks one provider's dialect."""

    def chat(self, attempt: ProviderAttempt, call: ChatCall) -> ChatAnswer:
        """Send the call once. Raises ProviderError for everything that is not a clean answer."""
        ...

    def stream(self, attempt: ProviderAttempt, call: ChatCall) -> ChatStream:
        """Send the call once, and pass the answer on as it arrives. A server that cannot stream yields no event.

        Raises ProviderError like `chat`, also after some events.
        """
        ...

    def embed(self, attempt: ProviderAttempt, call: EmbeddingCall) -> EmbeddingAnswer:
        """Send the call once. Raises ProviderError for everything that is not a vector for each text."""
        ...

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        """What the provider billed for an attempt; CANNOT_SAY if it has no such lookup."""
        ...
