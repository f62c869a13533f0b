"""Direct lookups, and answers stored by clients, from validated payloads: the same for every entry point."""

from aiinfra.providers.base import TokenUsage
from cache_app import lookup
from cache_app.answers import Hit, LookupResult, NewEntry
from cache_app.embedding.base import Payer
from cache_app.metrics import counts
from cache_app.models import Layer
from cache_app.payloads import LookupIn, QuestionIn, StoreIn
from cache_app.question import Question


def question_from(
    payload: QuestionIn, *, organization_id: int, api_key_id: int | None = None, log_in: str = ""
) -> Question:
    """The question. `log_in` is the user if the payload names none."""
    return Question(
        organization_id=organization_id,
        provider=payload.provider,
        model=payload.model,
        messages=[message.model_dump() for message in payload.messages],
        temperature=payload.temperature,
        max_tokens=payload.max_tokens,
        context_key=payload.context_key,
        api_key_id=api_key_id,
        user_ref=payload.user_id or log_in,
    )


def payer_of(question: Question) -> Payer:
    """Who pays for its embedding: the caller."""
    return Payer(question.organization_id, question.api_key_id, question.user_ref)


def look_up_only(payload: LookupIn, question: Question) -> LookupResult:
    """Counted in the statistics. Nothing is started, and no saving is booked."""
    result = lookup.look_up(
        question, payer_of(question), by_meaning=payload.contextual_match, threshold=payload.similarity_threshold
    )
    if result.hit:
        counts.record(question.organization_id, _counters(result.hit))
    return result


def _counters(hit: Hit) -> dict[str, int]:
    """The counters of a hit that has no row."""
    found = {f"hit:{hit.layer}": 1, counts.AGE_S: hit.age_s}
    if hit.layer == Layer.SEMANTIC:
        found[counts.SIMILARITY_SUM] = round(hit.similarity * counts.SIMILARITY_UNIT)
    return found


def new_entry_from(payload: StoreIn, *, api_key_id: int | None = None) -> NewEntry:
    """An answer that the caller vouches for. It is marked as given."""
    usage = payload.response.usage
    return NewEntry(
        response={"role": "assistant", "content": payload.response.content, "finishReason": "stop"},
        usage=usage.token_usage() if usage else TokenUsage(),
        provider=payload.provider,
        model=payload.model,
        tags=tuple(payload.tags),
        metadata=payload.metadata,
        origin="given",
        api_key_id=api_key_id,
        user_ref=payload.user_id,
    )
