"""What a finished request stores in the cache."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiinfra import database_time
from aiinfra.providers.base import ChatAnswer, TokenUsage
from cache_app import create_semantic_cache
from cache_app.facade import CacheKey, NewEntry
from cost_app.facade import Attempt
from queue_app.models import AIRequest
from queue_app.ordering.claims import Claim

cache = create_semantic_cache()

CLEAN_END = "stop"
WARMS = {"purpose": "warm"}
"""Metadata of a request without a waiting client: it exists so that its answer is cached."""
RECHECKS = "rechecks"
"""Metadata key that names the hit that a request re-checks."""
MS = timedelta(milliseconds=1)


def response_of(answer: ChatAnswer) -> dict[str, Any]:
    """The answer as requests store it and clients receive it."""
    response: dict[str, Any] = {"role": "assistant", "content": answer.content, "finishReason": answer.finish_reason}
    if answer.tool_calls:
        response["toolCalls"] = answer.tool_calls
    if answer.parts:
        response["parts"] = answer.parts
    if answer.refused:
        response["refused"] = True
    if answer.native:
        response["native"] = answer.native
    return response


def may_share(request: AIRequest, attempt: Attempt, response: Mapping[str, Any]) -> bool:
    """Whether other requests with the same question may get this answer, now or from the cache: the one rule for both.

    The answer must be complete, plain text, not a refusal, and come from the requested model.
    """
    is_plain = not any(response.get(name) for name in ("toolCalls", "parts", "refused"))
    says_something = bool(str(response.get("content", "")).strip())
    of_model_asked = (attempt.provider, attempt.model) == (request.provider, request.model)
    return response.get("finishReason") == CLEAN_END and is_plain and says_something and of_model_asked


def cache_answer(claim: Claim, attempt: Attempt, answer: ChatAnswer) -> None:
    """Store an answer in the cache if others may have it."""
    request, packed, response = claim.request, claim.call.get("cache"), response_of(answer)
    if packed is None or not may_share(request, attempt, response):
        return
    new_entry = NewEntry(
        response=response,
        usage=answer.usage or TokenUsage(),
        provider=attempt.provider,
        model=attempt.model,
        tags=tuple(request.tags),
        origin="warmed" if request.metadata == WARMS else "fetched",
        request_id=request.id,
        api_key_id=request.api_key_id,
        user_ref=request.user_ref,
        latency_ms=max(0, (database_time.now() - attempt.dispatched_at) // MS) if attempt.dispatched_at else 0,
    )
    cache.store_answer(CacheKey.unpacked(packed), new_entry)
