"""A sample of hits is re-checked in the background: the fresh answer is compared with the cached one.

The cost of a re-check is estimated by what the hit saved: the current price of the same call.
"""

import random
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from aiinfra.tenants.models import Organization
from cache_app.embedding.base import EmbedderError, Payer
from cache_app.embedding.registry import configured_embedder
from cache_app.learning.agreement import agreement, same_numbers
from cache_app.learning.judging import question_id_of, write_pair
from cache_app.metrics.counts import begin_of_day
from cache_app.models import CacheHit, CachePolicy, JudgedBy, JudgedPair, Judgement
from cache_app.models.hits import UNCOMPARED
from cache_app.models.learning import BY_PEOPLE, PEOPLE

AGREES = 0.90
"""Cosine of two answers that say the same thing. Two runs of a model on one question mostly exceed it; the answers'
numbers are compared separately because an embedder hardly notices them. Between it and 0.75 answers are reworded or
longer; below, they talk about other things. Neither says which of the two is right, so a person looks at both."""

COMPARED_WITHIN = timedelta(days=1)
"""Answers of requests that take longer are not waited for."""


def is_sampled(policy: CachePolicy, organization_id: int) -> bool:
    """Whether chance and the rest of the day's budget select a hit for a re-check.

    No query if the organization samples nothing, which is the default. `claim_due_rechecks` enforces the budget.
    """
    if random.random() >= policy.reask_share:
        return False
    chosen = CacheHit.objects.filter(organization_id=organization_id, reask=True, at__gte=_today(organization_id))
    return _worth(chosen) < policy.reask_day_nano


def claim_due_rechecks(limit: int) -> list[CacheHit]:
    """Claim up to `limit` of today's sampled hits for re-checks, each once, within the day's budget.

    Needs the system's scope. A process that dies after claiming a hit loses a sample, but never spends twice. Hits that
    did not fit in their day's budget are not re-checked.
    """
    taken: list[CacheHit] = []
    asking = CachePolicy.objects.filter(reask_share__gt=0, reask_day_nano__gt=0).order_by("organization_id")
    for organization_id in asking.values_list("organization_id", flat=True):
        taken += _take(organization_id, limit - len(taken))
    return taken


@transaction.atomic
def _take(organization_id: int, limit: int) -> list[CacheHit]:
    """The policy's row is the lock: only one process at a time spends the organization's budget."""
    policy = CachePolicy.objects.select_for_update().get(organization_id=organization_id)
    today = _today(organization_id)
    hits = CacheHit.objects.filter(organization_id=organization_id, reask=True)
    left = policy.reask_day_nano - _worth(hits.filter(reasked_at__gte=today))
    taken = []
    due = hits.filter(reasked_at=None, shadow=False, at__gte=today, saved_nano__lte=left)
    for hit in due.order_by("at")[:limit]:
        if hit.saved_nano <= left:
            left -= hit.saved_nano
            hit.reasked_at = timezone.now()
            taken.append(hit)
    CacheHit.objects.bulk_update(taken, ["reasked_at"])
    return taken


def uncompared(limit: int) -> list[CacheHit]:
    """Hits that the provider was also asked about, oldest first, until they are compared or given up.

    Needs the system's scope.
    """
    since = timezone.now() - COMPARED_WITHIN
    return list(CacheHit.objects.filter(UNCOMPARED, at__gte=since).order_by("at")[:limit])


def give_up(*, organization_id: int, hit_id: UUID) -> None:
    """No fresh answer will come for this hit."""
    CacheHit.objects.filter(organization_id=organization_id, id=hit_id).update(compared_at=timezone.now())


def compare(*, organization_id: int, hit_id: UUID, fresh_answer: str) -> CacheHit:
    """Compare the provider's answer with the cached one, which was served or, in shadow mode, would have been.

    Right if both say the same thing with the same numbers, else doubtful; also doubtful, without `agreement`, if the
    embedder is unavailable. A person's judgment is kept. Raises CacheHit.DoesNotExist.
    """
    hits = CacheHit.objects.filter(organization_id=organization_id)
    hit = hits.get(id=hit_id)
    cosine = _cosine(hit, fresh_answer)
    agrees = cosine is not None and cosine >= AGREES and same_numbers(hit.answer, fresh_answer)
    with transaction.atomic():
        hit = hits.select_for_update().get(id=hit_id)
        hit.fresh_answer, hit.agreement, hit.compared_at = fresh_answer, cosine, timezone.now()
        if hit.judged_by not in PEOPLE:
            hit.judgement = Judgement.RIGHT if agrees else Judgement.DOUBTFUL
            hit.judged_by, hit.judged_at = JudgedBy.SHADOW if hit.shadow else JudgedBy.REASK, hit.compared_at
            if agrees and not _judged_by_people(hit):
                write_pair(hit, is_right=True)
        hit.save(update_fields=["fresh_answer", "agreement", "compared_at", "judgement", "judged_by", "judged_at"])
    return hit


def _cosine(hit: CacheHit, fresh_answer: str) -> float | None:
    if not hit.answer.strip() or not fresh_answer.strip():
        return None
    payer = Payer(hit.organization_id, hit.api_key_id, hit.user_ref)
    try:
        return agreement(configured_embedder(), hit.answer, fresh_answer, payer)
    except EmbedderError:
        return None


def _judged_by_people(hit: CacheHit) -> bool:
    """Whether a person judged the same pair by another hit: this hit came before the block, or in shadow mode."""
    return (
        JudgedPair.objects.filter(BY_PEOPLE, organization_id=hit.organization_id, entry_id=hit.entry_id)
        .filter(question_id=question_id_of(hit))
        .exists()
    )


def _worth(hits: QuerySet[CacheHit]) -> int:
    return int(hits.aggregate(nano=Sum("saved_nano", default=0))["nano"])


def _today(organization_id: int) -> datetime:
    zone = Organization.objects.values_list("time_zone", flat=True).get(id=organization_id)
    return begin_of_day(timezone.now(), ZoneInfo(zone))
