"""Measures how often the cache is wrong: a sample of hits is sent to the provider, and the fresh answers are compared
with the cached ones.

A re-check is a normal request with the lowest priority, within the budgets. Its idempotency key names the hit, so each
hit is checked only once. In shadow mode the hit's own request has the fresh answer.
"""

import logging
from datetime import timedelta
from typing import Any

from django.utils import timezone

from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app import create_semantic_cache
from cache_app.facade import CacheHit
from cost_app import create_cost_optimizer
from cost_app.facade import BudgetRefusedError, ModelNotPricedError
from queue_app.caching.cache_answer import RECHECKS
from queue_app.caching.repeat import copy_of
from queue_app.models import ENDED, AIRequest, RequestContent, Status
from queue_app.packing import unpack
from queue_app.submission.intake import UnknownProviderError, accept
from queue_app.submission.room import QueueFullError

logger = logging.getLogger(__name__)
cache = create_semantic_cache()
cost = create_cost_optimizer()

REQUESTS_PER_RUN = 20
COMPARISONS_PER_RUN = 200
REQUEST_TIMEOUT = timedelta(minutes=10)
"""A hit that was claimed this long ago and has no request: the claiming process died, or was refused."""


def queue_rechecks() -> None:
    """Send the sampled hits to the provider."""
    with system_scope():
        hits = cache.claim_due_rechecks(REQUESTS_PER_RUN)
    one_by_one(hits, _ask)


def compare_answers() -> None:
    """Compare the answers that have arrived, and give up on those that never will."""
    with system_scope():
        hits = cache.uncompared(COMPARISONS_PER_RUN)
    one_by_one(hits, _compare, give_up=_give_up)


def _ask(hit: CacheHit) -> None:
    with organization_scope(hit.organization_id):
        _ask_in_scope(hit)


def _compare(hit: CacheHit) -> None:
    with organization_scope(hit.organization_id):
        _compare_in_scope(hit)


def _give_up(hit: CacheHit) -> None:
    with organization_scope(hit.organization_id):
        cache.give_up(organization_id=hit.organization_id, hit_id=hit.id)


def _ask_in_scope(hit: CacheHit) -> None:
    request = AIRequest.objects.filter(id=hit.id).first()
    content = RequestContent.objects.filter(request_id=hit.id).first()
    if request is None or content is None:
        return
    try:
        accept(copy_of(request, unpack(content.call), **_recheck(hit)))
    except (BudgetRefusedError, ModelNotPricedError, QueueFullError, UnknownProviderError) as refusal:
        logger.info("hit not re-checked: %s", refusal, extra={"fields": {"request": hit.id}})


def _recheck(hit: CacheHit) -> dict[str, Any]:
    """The answer is not cached: measuring the cache must not change it."""
    return {
        "max_retries": 0,
        "metadata": {RECHECKS: str(hit.id)},
        "cache_mode": "bypass",
        "idempotency_key": _key(hit.id),
    }


def _key(hit_id: object) -> str:
    return f"recheck:{hit_id}"


def _compare_in_scope(hit: CacheHit) -> None:
    asked = {"id": hit.id} if hit.shadow else {"idempotency_key": _key(hit.id)}
    request = AIRequest.objects.filter(**asked).first()
    if answer := _answer_text(request):
        cache.compare(organization_id=hit.organization_id, hit_id=hit.id, fresh_answer=answer)
    elif _is_over(hit, request):
        cache.give_up(organization_id=hit.organization_id, hit_id=hit.id)


def _answer_text(request: AIRequest | None) -> str:
    if request is None or request.status != Status.COMPLETED or not _is_of_the_model_asked(request):
        return ""
    content = RequestContent.objects.filter(request=request).first()
    return str(unpack(content.response).get("content", "")) if content and content.response else ""


def _is_of_the_model_asked(request: AIRequest) -> bool:
    """Whether no fallback answered: another model's words say nothing about the cached ones."""
    answering = cost.attempts_of([request.id])[-1:]
    return all((each.provider, each.model) == (request.provider, request.model) for each in answering)


def _is_over(hit: CacheHit, request: AIRequest | None) -> bool:
    """Whether no answer will come."""
    if request is None:
        return (hit.reasked_at or hit.at) < timezone.now() - REQUEST_TIMEOUT
    return request.status in ENDED
