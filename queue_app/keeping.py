"""What a finished request leaves in the cache."""

from datetime import timedelta

from django.utils import timezone

from aiinfra.providers.base import ChatAnswer, TokenUsage
from cache_app import create_semantic_cache
from cache_app.facade import Fetched, Ticket
from cost_app.optimizer import Attempt
from queue_app.claims import Claim

cache = create_semantic_cache()

CLEAN_END = "stop"
WARMS = {"purpose": "warm"}
"""The metadata of a request that nobody waits for: it is there for its answer to be cached."""
RECHECKS = "rechecks"
"""The key of the metadata that names the hit which a request checks."""
MS = timedelta(milliseconds=1)


def keep(claim: Claim, attempt: Attempt, answer: ChatAnswer) -> None:
    """Put a clean answer into the cache. One by another model than was asked for is not what the next client wants."""
    request, packed = claim.request, claim.call.get("cache")
    if packed is None or answer.finish_reason != CLEAN_END or answer.tool_calls or not answer.content.strip():
        return
    if (attempt.provider, attempt.model) != (request.provider, request.model):
        return
    fetched = Fetched(
        response={"role": "assistant", "content": answer.content, "finishReason": answer.finish_reason},
        usage=answer.usage or TokenUsage(),
        provider=attempt.provider,
        model=attempt.model,
        tags=tuple(request.tags),
        origin="warmed" if request.metadata == WARMS else "fetched",
        request_id=request.id,
        api_key_id=request.api_key_id,
        user_ref=request.user_ref,
        latency_ms=max(0, (timezone.now() - attempt.dispatched_at) // MS) if attempt.dispatched_at else 0,
    )
    cache.keep(Ticket.unpacked(packed), fetched)
