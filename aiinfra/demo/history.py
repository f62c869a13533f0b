"""Generates a history of requests for an organization, as if it had used the product for weeks.

One stream of requests feeds the queue, the semantic cache and the costs alike, so that their pages agree. Every row is
marked: ledger rows by the note "demo history", attempts by `raw_usage`, keys and users by their names.
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from aiinfra.demo.budgets import make_budgets
from aiinfra.demo.calls import MARK, CallMaker, Made
from aiinfra.demo.clock import slots
from aiinfra.demo.profiles import KEY_NAMES
from aiinfra.demo.writing import write
from aiinfra.tenants import audit
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import ApiKey, Organization
from cache_app.metrics.counts import delete_old_counts
from cost_app.calendar import Calendar
from cost_app.ledger.rollups import usage_calendar
from cost_app.models import Attempt

ACTOR = audit.command_actor("demo_history")
REQUESTS_AT_ONCE = 5_000
REQUESTS_WITH_BUDGETS_MAX = 500_000
"""A longer history is for benchmarks: it has no budgets, which would need millions of holds."""


class NoHistoryError(ValueError):
    """The history was not created; the text says why."""


@dataclass(frozen=True)
class History:
    """How many requests and budgets were created."""

    requests: int
    budgets: int


def has_history(organization_id: int) -> bool:
    """Whether a history was created before, even partly."""
    return Attempt.objects.filter(organization_id=organization_id, external_id=MARK).exists()


def make_history(
    organization: Organization, *, days: int, requests: int, seed: int, force: bool = False, now: datetime | None = None
) -> History:
    """Write `requests` requests over the last `days` days and today, and the demo budgets; needs the scope.

    Only for a demo organization unless forced, and only once. Raises NoHistoryError. Writes in transactions of at most
    5,000 requests and one day, each with its rollups: an interrupted history leaves ledger and rollups consistent.
    """
    if not organization.is_demo and not force:
        raise NoHistoryError(f"{organization.slug} is not a demo organization: demo data would mix with its real data")
    if has_history(organization.pk):
        raise NoHistoryError(f"{organization.slug} already has a demo history")
    now = now or timezone.now()
    calendar, key_ids = usage_calendar(organization.pk), _key_ids(organization)
    name = f"{seed} {organization.pk}"
    maker = CallMaker(organization.pk, key_ids, seed=name)
    made: list[Made] = []
    for day in slots(calendar, now, days, requests, name):
        made += [each for slot in day for each in maker.requests_of(slot)]
        if len(made) >= REQUESTS_AT_ONCE:
            made = _written(organization.pk, calendar, made, now)
    _written(organization.pk, calendar, made, now)
    delete_old_counts()
    if requests > REQUESTS_WITH_BUDGETS_MAX:
        return History(requests, 0)
    return History(requests, make_budgets(organization.pk, now=now, days=days, key_ids=key_ids, actor=ACTOR))


def _written(organization_id: int, calendar: Calendar, made: list[Made], now: datetime) -> list[Made]:
    write(organization_id, calendar.zone, made, now)
    used = {each.request.api_key_id: each.request.created_at for each in made if each.request.api_key_id}
    for key_id, last_used_at in used.items():
        ApiKey.objects.filter(pk=key_id).update(last_used_at=last_used_at)
    return []


def _key_ids(organization: Organization) -> dict[str, int]:
    """Key IDs by name; missing ones are created with the lowest role. Their text is discarded."""
    found = dict(ApiKey.objects.filter(organization=organization, name__in=KEY_NAMES).values_list("name", "pk"))
    for name in KEY_NAMES:
        if name not in found:
            key, _ = create_key(organization=organization, name=name, role=Role.VIEWER, actor=ACTOR)
            found[name] = key.pk
    return found
