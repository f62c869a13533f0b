"""Random settings changes with random spending, against a model that knows only calls and the calendar.

Two organizations get the same steps: one reads its budgets at every step, the other only when necessary. A call must
be admitted exactly when the model has room, so no change adds or loses budget.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.manage import grant_increase, remove_budget, set_budget, withdraw_increase
from cost_app.budgets.refusals import BudgetExceededError
from cost_app.budgets.terms import BudgetTerms
from cost_app.budgets.windows import windows_now
from cost_app.calendar import Calendar, Period
from cost_app.ledger import attempts
from cost_app.ledger.admission import AttemptOrder, open_attempt
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold, follow_time_zones
from cost_app.ledger.tracking import TrackedCall, track_request
from cost_app.models import Attempt, Budget, BudgetIncrease
from cost_app.policy import change_policy
from tests.support.examples import examples

ZONES = ("UTC", "Asia/Tokyo", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
SPELLINGS = ("ann", " ann", "ann\u200b", "ann\n")
SCOPES = {"api_key": "", "organization": "", "user": "ann", "tag": "ann"}
BEGIN = datetime(2026, 3, 27, 12, tzinfo=UTC)
SEEDS = range(examples(4, 60))
"""At least one per scope."""
STEPS = 15
BOUND = 31_080
"""The bound of the test's call, in nano-dollars."""
ACTOR = "user:finance"


@dataclass
class Model:
    """A budget as a function of its calls (time, nano-dollars), without windows."""

    period: Period
    limit: int
    calls: list[tuple[datetime, int]] = field(default_factory=list)
    increases: int = 0
    carries: bool = False
    calendar: Calendar = field(default_factory=lambda: Calendar(ZoneInfo("UTC")))
    current: tuple[datetime, datetime] | None = None
    carried: int = 0
    unused: int = 0

    def follow(self, now: datetime) -> None:
        """Advance to the period of `now`; a calendar change applies from the next period."""
        if self.current is None:
            self.current = self.calendar.bounds(self.period, now)
        while self.current[1] <= now:
            following = self.calendar.bounds(self.period, self.current[1])
            if following[0] != self.current[0]:
                self.unused = max(0, self.limit + self.carried - self.spent())
                self.carried = self.unused if self.carries else 0
            self.current = following

    def set(self, now: datetime, limit: int, carries: bool) -> None:
        """Set or change the budget: this applies to the current period, not to earlier ones."""
        self.follow(now)
        self.limit, self.carries = limit, carries
        self.carried = self.unused if carries else 0

    def spent(self) -> int:
        assert self.current
        begin, end = self.current
        return sum(nano for at, nano in self.calls if begin <= at < end)

    def has_room(self, bound: int) -> bool:
        return self.spent() + bound <= self.limit + self.carried + self.increases


class Subject:
    """One organization in the product."""

    def __init__(self, organization: Organization, period: Period, scope: str, limit: int) -> None:
        self.organization = organization
        with organization_scope(organization.pk):
            self.key: ApiKey = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor=ACTOR)[0]
        value = str(self.key.pk) if scope == "api_key" else SCOPES[scope]
        self.terms: dict[str, Any] = {"period": period, "scope": scope, "scope_value": value}
        self.terms |= {"limit_nano": limit, "enforcement": "block"}

    def set(self, **changes: Any) -> None:
        self.terms |= changes
        self.budget: Budget = set_budget(
            organization_id=self.organization.pk, terms=BudgetTerms(**self.terms), actor=ACTOR
        )

    def call(self, name: str) -> Attempt | None:
        """A call that is settled immediately at its bound; None if it was refused."""
        order = AttemptOrder(
            self.organization.pk,
            "deepseek",
            "deepseek-chat",
            [{"role": "user", "content": "Hi"}],
            100,
            api_key_id=self.key.pk,
            user_ref=name,
            tags=[name],
        )
        try:
            with transaction.atomic():
                attempt = open_attempt(order)
        except BudgetExceededError:
            return None
        attempts.settle(attempt, TokenUsage(input=20, output=90), {})
        attempt.refresh_from_db()
        return attempt

    def report(self, name: str, at: datetime) -> int:
        call = TrackedCall(at=at, api_key_id=self.key.pk, user_ref=name, tags=[name])
        return track_request(self.organization.pk, "deepseek", "deepseek-chat", TokenUsage(input=9), call).cost_nano

    def rotate(self) -> None:
        self.key = keys.rotate_key(key=self.key, overlap=timedelta(0), actor=ACTOR)[0]
        if self.terms["scope"] == "api_key":
            self.terms["scope_value"] = self.key.key_id

    def move(self, zone: str) -> None:
        Organization.objects.filter(pk=self.organization.pk).update(time_zone=zone)

    def start_months_on(self, day: int) -> None:
        change_policy(organization_id=self.organization.pk, changes={"month_starts_on": day}, actor=ACTOR)

    def raise_by(self, nano: int) -> None:
        end = timezone.now() + timedelta(days=999)
        grant_increase(budget=self.budget, nano=nano, reason="more", expires_at=end, actor=ACTOR)

    def withdraw(self) -> None:
        for increase in BudgetIncrease.objects.filter(budget=self.budget, withdrawn_at=None):
            withdraw_increase(increase=increase, actor=ACTOR)

    def look(self) -> None:
        windows_now(self.organization.pk)


class Run:
    """Applies the same steps to all subjects and the model."""

    def __init__(
        self, rng: Random, organizations: list[Organization], set_clock: Callable[[datetime], None], scope: str
    ) -> None:
        self.rng, self.set_clock, self.now = rng, set_clock, BEGIN
        self.set_clock(BEGIN)
        period = rng.choice([Period.DAILY, Period.DAILY, Period.WEEKLY, Period.MONTHLY])
        self.subjects = [Subject(each, period, scope, 0) for each in organizations]
        self.model = Model(period, 0)
        self.is_set, self.admitted = False, 0

    def step(self, act: str) -> None:
        self._wait(timedelta(seconds=1))
        if self.is_set:
            self.model.follow(self.now)
        with organization_scope(self.subjects[0].organization.pk):
            self.subjects[0].look()
        if self.is_set or act not in {"remove", "more", "withdraw"}:
            getattr(self, act)()

    def call(self) -> None:
        """Make one call, or up to eight until one is refused, which spends the whole remaining budget."""
        for _ in range(self.rng.choice([1, 8])):
            if not self._admits():
                return

    def _admits(self) -> bool:
        name = self.rng.choice(SPELLINGS)
        first, second = self._all(lambda subject: subject.call(name))
        assert (first is None) == (second is None), "reading budgets changed the result"
        if first is None:
            assert self.is_set and not self.model.has_room(BOUND), "budget was lost"
        else:
            assert not self.is_set or self.model.has_room(first.bound_nano), "the limit was exceeded"
            self.model.calls.append((self.now, first.cost_nano))
            self.admitted += 1
        return first is not None

    def report(self) -> None:
        """Report a call from outside that was made in the current period, perhaps before the last change."""
        begin = max(self.model.current[0], BEGIN) if self.model.current else BEGIN
        at = begin + (self.now - begin) * self.rng.random()
        name = self.rng.choice(SPELLINGS)
        for nano in set(self._all(lambda subject: subject.report(name, at))):
            self.model.calls.append((at, nano))

    def wait(self) -> None:
        self._wait(timedelta(hours=self.rng.choice([1, 5, 26, 80]), minutes=self.rng.choice([0, 7])))
        if self.rng.random() < 0.6:
            fold()

    def set(self) -> None:
        self.model.set(self.now, self.rng.choice([1, 2, 3]) * BOUND, self.rng.random() < 0.5)
        self._all(lambda subject: subject.set(limit_nano=self.model.limit, rollover_unused=self.model.carries))
        self.is_set = True

    def remove(self) -> None:
        self._all(lambda subject: remove_budget(budget=subject.budget, actor=ACTOR))
        self.model.increases, self.is_set = 0, False

    def zone(self) -> None:
        name = self.rng.choice(ZONES)
        self.model.calendar = Calendar(ZoneInfo(name), self.model.calendar.month_starts_on)
        self._all(Subject.look)
        self._all(lambda subject: subject.move(name))
        if self.rng.random() < 0.5:
            follow_time_zones()

    def day(self) -> None:
        day = self.rng.choice([1, 10, 28])
        self.model.calendar = Calendar(self.model.calendar.zone, day)
        self._all(Subject.look)
        self._all(lambda subject: subject.start_months_on(day))

    def rotate(self) -> None:
        self._all(Subject.rotate)

    def more(self) -> None:
        self.model.increases += BOUND
        self._all(lambda subject: subject.raise_by(BOUND))

    def withdraw(self) -> None:
        self.model.increases = 0
        self._all(Subject.withdraw)

    def _wait(self, time: timedelta) -> None:
        self.now += time
        self.set_clock(self.now)

    def _all(self, act: Callable[[Subject], Any]) -> list[Any]:
        results = []
        for subject in self.subjects:
            with organization_scope(subject.organization.pk):
                results.append(act(subject))
        return results


BEGINNING = ["call", "set", "call", "rotate", "call", "wait", "call"]
"""Steps of every run: a budget set during a period with calls, a key rotation, and a new period."""
ACTS = ["call"] * 8 + ["wait"] * 5 + ["report"] * 3 + ["set", "remove", "zone", "day", "rotate", "more", "withdraw"]


@pytest.mark.usefixtures("records_use_the_test_clock")
@pytest.mark.parametrize("seed", SEEDS)
def test_changing_settings_never_changes_the_allowance(
    seed: int, organization: Organization, other_organization: Organization, clock: Callable[[datetime], None]
) -> None:
    rng = Random(seed)
    Organization.objects.update(time_zone="UTC")
    run = Run(rng, [organization, other_organization], clock, list(SCOPES)[seed % len(SCOPES)])
    for act in BEGINNING + rng.choices(ACTS, k=STEPS):
        run.step(act)
    fold()
    assert list(disagreements()) == []
    assert run.admitted
