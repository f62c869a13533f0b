"""Making a history of provider calls for an organization, as if it had used the product for weeks.

Every row is marked: ledger rows by the note "demo history", attempts by `raw_usage`, keys and users by their names. The
requests themselves are not made up: prompts and answers of the past are gone.
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from aiinfra.tenants import audit
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import ApiKey, Organization
from cost_app.calendar import Calendar
from cost_app.demo.budgets import make_budgets
from cost_app.demo.calls import CallMaker
from cost_app.demo.clock import slots
from cost_app.demo.profiles import KEY_NAMES
from cost_app.demo.rows import MARK, RowWriter, roomy_cache
from cost_app.models import Attempt, CostPolicy
from cost_app.policy import policy_of, zone_of

ACTOR = audit.command_actor("demo_history")
ROWS_AT_ONCE = 20_000
LEAST_QUESTIONS = 200
MOST_ROWS_IN_BUDGETS = 500_000
"""A longer history is for measuring, not for looking at: budgets would be made of millions of holds."""


class NoHistoryError(ValueError):
    """The history was not made; the text says why."""


@dataclass(frozen=True)
class History:
    """What was made: ledger rows and budgets."""

    rows: int
    budgets: int


def has_history(organization_id: int) -> bool:
    """Whether a history was made before, wholly or in part."""
    return Attempt.objects.filter(organization_id=organization_id, external_id=MARK).exists()


def make_history(
    organization: Organization, *, days: int, rows: int, seed: int, force: bool = False, now: datetime | None = None
) -> History:
    """Write `rows` ledger rows over the last `days` days and today, and the demo budgets; needs the scope.

    Only for a demo organization unless forced, and once. Raises NoHistoryError. Writes in transactions of a day or
    20,000 rows, each with its sums: one that is broken off leaves ledger and sums agreed.
    """
    if not organization.is_demo and not force:
        raise NoHistoryError(
            f"{organization.slug} is no demo organization: its figures would be mixed with made-up ones"
        )
    if has_history(organization.pk):
        raise NoHistoryError(f"{organization.slug} has its history already")
    now = now or timezone.now()
    calendar = _usage_calendar(organization.pk)
    writer = RowWriter(organization.pk, calendar)
    questions = max(LEAST_QUESTIONS, 8 * rows // (days + 1))
    key_ids = _key_ids(organization)
    maker = CallMaker(writer, key_ids, seed=f"{seed} {organization.pk}", questions=questions, mark=MARK)
    with roomy_cache():
        made = _write_days(writer, maker, calendar, now, days, rows)
    if rows > MOST_ROWS_IN_BUDGETS:
        return History(made, 0)
    return History(made, make_budgets(organization.pk, now=now, days=days, key_ids=key_ids, actor=ACTOR))


def _write_days(writer: RowWriter, maker: CallMaker, calendar: Calendar, now: datetime, days: int, rows: int) -> int:
    made = 0
    for day in slots(calendar, now, days, rows):
        waiting = 0
        for slot in day:
            maker.fill(slot)
            waiting += slot.rows
            if waiting >= ROWS_AT_ONCE:
                made += writer.write()
                waiting = 0
        made += writer.write()
    return made


def _usage_calendar(organization_id: int) -> Calendar:
    """The calendar that the sums are folded in; sets its time zone where nothing was folded yet."""
    CostPolicy.objects.bulk_create([CostPolicy(organization_id=organization_id)], ignore_conflicts=True)
    zone = zone_of(organization_id)
    CostPolicy.objects.filter(organization_id=organization_id, usage_time_zone="").update(usage_time_zone=zone.key)
    policy = policy_of(organization_id)
    return Calendar(type(zone)(policy.usage_time_zone), policy.month_starts_on)


def _key_ids(organization: Organization) -> dict[str, int]:
    """Keys by their names; made where missing, with the least role. Nobody knows their text, so nobody can use them."""
    found = dict(ApiKey.objects.filter(organization=organization, name__in=KEY_NAMES).values_list("name", "pk"))
    for name in KEY_NAMES:
        if name not in found:
            key, _ = create_key(organization=organization, name=name, role=Role.VIEWER, actor=ACTOR)
            found[name] = key.pk
    return found
