"""Request and response bodies of the cache's JSON operations."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from aiinfra.api import WHOLE_FLOATS, ApiModel
from aiinfra.money import Dollars
from aiinfra.names import Tag, Tags, UserName
from aiinfra.providers.payloads import UsageIn

ShortText = Annotated[str, StringConstraints(max_length=128)]
EntryId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
LayerName = Literal["exact", "semantic"]


class Turn(ApiModel):
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, StringConstraints(min_length=1)]


class QuestionIn(ApiModel):
    """The question. Everything but the last user turn must be equal for an entry to match."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=256)]
    provider: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=131_072), WHOLE_FLOATS] | None = None
    context_key: ShortText = ""
    user_id: UserName = ""


class LookupIn(QuestionIn):
    """Look up the cache without calling a provider. Without `contextualMatch`, only an exact match is found."""

    contextual_match: bool = True
    similarity_threshold: Annotated[float, Field(ge=0.5, le=1, description="cosine")] | None = None


class GivenAnswer(ApiModel):
    """An answer that the client vouches for."""

    content: Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=r"\S")]
    role: Literal["assistant"] = "assistant"
    finish_reason: Literal["stop"] = "stop"
    usage: Annotated[UsageIn | None, Field(description="tokens it took; a hit books their price as saved")] = None


class StoreIn(QuestionIn):
    """Store an answer."""

    response: GivenAnswer
    tags: Tags = []
    metadata: dict[str, Any] = {}


class TagsIn(ApiModel):
    """Entries with any of the tags."""

    tags: Annotated[list[Tag], Field(min_length=1, max_length=100)]


class ModelIn(ApiModel):
    """Entries with answers of one model."""

    provider: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class EntryIn(ApiModel):
    """One entry."""

    entry_id: EntryId


class EntriesQuery(ApiModel):
    """A page of entries, optionally filtered by a tag."""

    tag: Annotated[Tag, StringConstraints(min_length=1)] | None = None
    cursor: str | None = None


class PinIn(ApiModel):
    """Protect an entry from eviction, or stop protecting it."""

    entry_id: EntryId
    pinned: bool = True


class ReportIn(ApiModel):
    """Whether a cached answer was right for the request that it answered."""

    entry_id: EntryId
    request_id: str
    correct: bool


class CacheStatsOut(ApiModel):
    """The last 30 days. Rates in percent, null without lookups; entries and memory null while Redis is down."""

    total_entries: int | None
    memory_bytes: int | None
    looks: int
    hits: int
    misses: int
    hit_rate: float | None
    average_similarity: float | None
    repeats_served: float | None
    saved_cost: Dollars
    saved_ms: int
    false_hit_reports: int
    near_misses: int
    by_kind: dict[str, int]
    vetoes: dict[str, int]


class EntryOut(ApiModel):
    """One entry and its origin. `question` is null for callers who cannot read content."""

    entry_id: str
    question: str | None
    provider: str
    model: str
    tags: list[str]
    origin: Literal["fetched", "given", "warmed"]
    request_id: str | None
    user_id: str
    created_at: datetime
    expires_at: datetime
    hits: int
    pinned: bool


class EntryPage(ApiModel):
    """Newest first; `nextCursor` is null on the last page."""

    entries: list[EntryOut]
    next_cursor: str | None


class AnswerOut(ApiModel):
    """What is in the cache."""

    role: str
    content: str
    finish_reason: str


class LookupOut(ApiModel):
    """`reason` says why the answer may be served, or why there is none."""

    hit: bool
    layer: LayerName | None
    similarity: float | None
    entry_id: str | None
    response: AnswerOut | None
    reason: str


class Stored(ApiModel):
    """The entry's id."""

    entry_id: str


class Pinned(ApiModel):
    """The entry's state."""

    entry_id: str
    pinned: bool


class Judged(ApiModel):
    """The report is accepted: a wrong answer is not served for that question again."""

    entry_id: str
    request_id: str
    correct: bool
