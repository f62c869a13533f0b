"""Computes every organization's recommendations, and updates the stored ones."""

import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Recommendation, RecommendationState
from cost_app.recommendations.generators import GENERATORS
from cost_app.recommendations.realised import count_rule_savings
from cost_app.recommendations.sample import Advice, take_sample

logger = logging.getLogger(__name__)

STALE = timedelta(days=14)
"""Recommendations not confirmed for this long expire, even if the job that computes them fails."""
QUIET = timedelta(days=90)
"""How long dismissed recommendations are not repeated, unless their savings have doubled."""
LIVE = [RecommendationState.OPEN, RecommendationState.APPLIED]


def compute_all() -> None:
    """Compute for every organization; for the scheduler, hourly. A failure for one does not affect the others."""
    with system_scope():
        ids = list(Organization.objects.order_by("id").values_list("id", flat=True))
    for organization_id in ids:
        try:
            with organization_scope(organization_id):
                compute_recommendations(organization_id)
                expire_stale(organization_id, timezone.now())
                count_rule_savings(organization_id)
        except Exception:
            logger.exception("could not compute recommendations", extra={"fields": {"organization": organization_id}})


def compute_recommendations(organization_id: int, now: datetime | None = None) -> list[Advice]:
    """Compute current recommendations and store them as open; open ones that no longer apply expire.

    Applied ones keep the figures that they promised. Some aggregate queries over the organization's last 30 days: for
    the background only.
    """
    now = now or timezone.now()
    advice = advice_for(organization_id, now)
    with transaction.atomic():
        Organization.objects.select_for_update().get(id=organization_id)  # serializes concurrent computations
        _store(organization_id, advice, now)
    return advice


def advice_for(organization_id: int, now: datetime) -> list[Advice]:
    """Compute without storing; largest savings first."""
    sample = take_sample(organization_id, now)
    found = [sample.advice_of(finding) for generate in GENERATORS for finding in generate(sample)]
    return sorted(filter(None, found), key=lambda each: (-each.monthly_nano, each.kind, each.subject))


def expire_stale(organization_id: int, now: datetime) -> int:
    """Expire open recommendations that nothing has confirmed for 14 days; returns how many."""
    stale = Recommendation.objects.filter(
        organization_id=organization_id, state=RecommendationState.OPEN, computed_at__lt=now - STALE
    )
    return stale.update(state=RecommendationState.EXPIRED)


def _store(organization_id: int, advice: Iterable[Advice], now: datetime) -> None:
    rows = Recommendation.objects.filter(organization_id=organization_id)
    live = {(row.kind, row.subject): row for row in rows.filter(state__in=LIVE)}
    dismissed = {
        (row.kind, row.subject): row
        for row in rows.filter(state=RecommendationState.DISMISSED, decided_at__gt=now - QUIET).order_by("decided_at")
    }
    for each in advice:
        key = (each.kind.value, each.subject)
        _store_one(organization_id, each, now, live.pop(key, None), dismissed.get(key))
    gone = [row.id for row in live.values() if row.state == RecommendationState.OPEN]
    rows.filter(id__in=gone).update(state=RecommendationState.EXPIRED)


def _store_one(
    organization_id: int, advice: Advice, now: datetime, live: Recommendation | None, dismissed: Recommendation | None
) -> None:
    columns: dict[str, Any] = asdict(advice) | {"computed_at": now}
    if live is None:
        if dismissed is None or advice.monthly_nano > 2 * dismissed.monthly_nano:
            Recommendation.objects.create(organization_id=organization_id, **columns)  # type: ignore[misc]  # ** for one
    elif live.state == RecommendationState.OPEN:
        Recommendation.objects.filter(id=live.id).update(**columns)
