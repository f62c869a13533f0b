"""A few hits are asked again in the background, and the fresh answer is compared with what was served.

What asking again costs is taken to be what the hit has saved: the price of the same call a moment ago.
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
from cache_app.learning.judging import PEOPLE, question_id_of, write_pair
from cache_app.metrics.counts import begin_of_day
from cache_app.models import CacheHit, CachePolicy, JudgedBy, JudgedPair, Judgement
from cache_app.models.hits import UNCOMPARED

AGREES = 0.90
"""Cosine of two answers that say the same. Two runs of a model on one question mostly lie above it, and the numbers of
the answers are compared beside it, because an embedder hardly sees them. Between it and 0.75 answers are reworded or
longer, below they speak of other things; neither says which of the two is right, so that a person looks at both."""

COMPARED_WITHIN = timedelta(days=1)
"""The answer of a request that takes longer is not waited for."""


def choose_for_reask(policy: CachePolicy, organization_id: int) -> bool:
    """Whether chance, and what is left of the day's budget, choose a hit to be asked again.

    No query where the organization asks nothing again, which is the default. `due_reasks` keeps the budget.
    """
    if random.random() >= policy.reask_share:
        return False
    chosen = CacheHit.objects.filter(organization_id=organization_id, reask=True, at__gte=_today(organization_id))
    return _worth(chosen) < policy.reask_day_nano


def due_reasks(limit: int) -> list[CacheHit]:
    """Take up to `limit` of today's hits that are to be asked again, each once, within the budget of the day.

    Needs the system's scope. Who dies after it has taken one has lost a sample, never spent twice. Hits that found no
    room in the budget of their day are not asked again.
    """
    taken: list[CacheHit] = []
    asking = CachePolicy.objects.filter(reask_share__gt=0, reask_day_nano__gt=0).order_by("organization_id")
    for organization_id in asking.values_list("organization_id", flat=True):
        taken += _take(organization_id, limit - len(taken))
    return taken


@transaction.atomic
def _take(organization_id: int, limit: int) -> list[CacheHit]:
    """The policy's row is the lock: one at a time spends the organization's budget."""
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
    """Hits that the provider was asked about as well, oldest first, until they are compared or given up.

    Needs the system's scope.
    """
    since = timezone.now() - COMPARED_WITHIN
    return list(CacheHit.objects.filter(UNCOMPARED, at__gte=since).order_by("at")[:limit])


def give_up(*, organization_id: int, hit_id: UUID) -> None:
    """There will be no fresh answer to compare this hit with."""
    CacheHit.objects.filter(organization_id=organization_id, id=hit_id).update(compared_at=timezone.now())


def compare(*, organization_id: int, hit_id: UUID, fresh_answer: str) -> CacheHit:
    """Compare what the provider said with what the cache served, or in shadow mode would have.

    Right where both say the same with the same numbers, else doubtful; doubtful as well, without `agreement`, where
    the embedder is out of order. What a person has judged stays. Raises CacheHit.DoesNotExist.
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
    """Whether a person has judged the same pair by another hit: this one came before the block, or in shadow mode."""
    return (
        JudgedPair.objects.filter(organization_id=hit.organization_id, entry_id=hit.entry_id, judged_by__in=PEOPLE)
        .filter(question_id=question_id_of(hit))
        .exists()
    )


def _worth(hits: QuerySet[CacheHit]) -> int:
    return int(hits.aggregate(nano=Sum("saved_nano", default=0))["nano"])


def _today(organization_id: int) -> datetime:
    zone = Organization.objects.values_list("time_zone", flat=True).get(id=organization_id)
    return begin_of_day(timezone.now(), ZoneInfo(zone))
