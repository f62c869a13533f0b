"""What every provider adapter takes, gives and raises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID


class ErrorCode(StrEnum):
    """Why a call failed, in the words of the contract."""

    RATE_LIMITED = "RATE_LIMITED"
    TIMEOUT = "TIMEOUT"
    CONNECTION_ERROR = "CONNECTION_ERROR"
    SERVER_ERROR = "SERVER_ERROR"
    INVALID_REQUEST = "INVALID_REQUEST"
    AUTHENTICATION = "AUTHENTICATION"
    CONTENT_FILTERED = "CONTENT_FILTERED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"


RETRYABLE = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.TIMEOUT,
        ErrorCode.CONNECTION_ERROR,
        ErrorCode.SERVER_ERROR,
        ErrorCode.CIRCUIT_OPEN,
    }
)


PROVIDER_FAULTS = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.TIMEOUT,
        ErrorCode.CONNECTION_ERROR,
        ErrorCode.SERVER_ERROR,
        ErrorCode.AUTHENTICATION,
    }
)
"""What an outage is made of. The others are mistakes of the caller, or no call was made."""


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
    """Uses of tools that the provider bills by the use, such as `web_search`: 2."""
    tier: str = "standard"
    """The service tier that answered, which is not always the one that was requested."""
    reported_nano: int | None = None
    """The cost in nano-dollars that the provider itself reports, if it does."""

    @property
    def prompt(self) -> int:
        """The whole prompt, its cached parts included, as OpenAI counts it."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def total(self) -> int:
        """Every token that went in or came out."""
        return self.prompt + self.output


@dataclass(frozen=True)
class ProviderAttempt:
    """The booked attempt that a call belongs to. Without one nothing can be sent."""

    id: UUID
    organization_id: int
    provider: str
    model: str


@dataclass(frozen=True)
class ChatCall:
    """What is asked of the model. `max_tokens` is always sent: the money held for the call rests on it."""

    messages: list[dict[str, Any]]
    max_tokens: int
    timeout_s: float
    temperature: float | None = None


@dataclass(frozen=True)
class EmbeddingCall:
    """Texts that each get a vector."""

    texts: list[str]
    timeout_s: float


@dataclass(frozen=True)
class EmbeddingAnswer:
    """One vector for each text, in their order. `usage` and `raw_usage` are those of `ChatAnswer`."""

    vectors: list[list[float]]
    usage: TokenUsage | None
    raw_usage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatAnswer:
    """A clean answer. `usage` is None where the provider sent none, or one that cannot be true; `raw_usage` has what it
    sent in either case."""

    content: str
    finish_reason: str
    usage: TokenUsage | None
    raw_usage: dict[str, Any] = field(default_factory=dict)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    provider_request_id: str = ""


class ProviderError(Exception):
    """A call that gave no answer.

    `may_be_billed` is False only where the provider surely charged nothing (refused connection, HTTP error status);
    after a timeout or a reset the money may be spent. `usage` is what was billed, where the provider said so, and
    `raw_usage` how it said so.
    `retry_after_s` is the provider's own wish, in seconds.
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

    @property
    def retryable(self) -> bool:
        """Whether the same call can be tried again."""
        return self.code in RETRYABLE


class BillState(StrEnum):
    """What a provider knows of a call whose outcome we missed."""

    BILLED = "billed"
    RUNNING = "running"
    NOT_BILLED = "not_billed"
    CANNOT_SAY = "cannot_say"


class ProviderAdapter(Protocol):
    """One provider's dialect."""

    def chat(self, attempt: ProviderAttempt, call: ChatCall) -> ChatAnswer:
        """Send the call once. Raises ProviderError for everything that is not a clean answer."""
        ...

    def embed(self, attempt: ProviderAttempt, call: EmbeddingCall) -> EmbeddingAnswer:
        """Send the call once. Raises ProviderError for everything that is not a vector for each text."""
        ...

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        """What the provider billed for an attempt, where it offers such a look-up; else CANNOT_SAY."""
        ...
