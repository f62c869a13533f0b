"""A state machine of calls, clock steps, and limit cuts in any order, with the provider's bill as the reference."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import pytest
from django.db.models import F, Q
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiinfra.providers.base import BillState, TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.budgets.refusals import BudgetBusyError, BudgetExceededError, BudgetRefusedError
from cost_app.budgets.rollover import refresh_rollovers
from cost_app.budgets.windows import OpenWindow, windows_now
from cost_app.ledger import attempts, sweeper
from cost_app.ledger.admission import AttemptOrder, open_attempt
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold
from cost_app.models import Attempt, AttemptState, Budget, BudgetWindow
from cost_app.prices.pricing import cost_of
from tests.cost_app.budgets.conftest import NOON

CHEAP, EXPENSIVE = ("deepseek", "deepseek-chat"), ("anthropic", "claude-haiku-4-5")
ENDED = {AttemptState.SETTLED, AttemptState.ESTIMATED, AttemptState.RELEASED}
calls = st.integers(0, 30)
ENDS = ["answered", "refused", "crashed with unknown outcome", "in progress"]
TOKENS_MAX = {CHEAP: 100, EXPENSIVE: 5}
usages = st.builds(TokenUsage, input=st.integers(0, 9), output=st.integers(0, 5))


@dataclass
class Call:
    """A call, and what the provider bills once it receives the call."""

    id: UUID
    usage: TokenUsage
    state: AttemptState = AttemptState.RESERVED
    is_billed: bool = False


@dataclass
class ProviderBook:
    """The adapter that the sweeper asks."""

    billed: dict[UUID, TokenUsage] = field(default_factory=dict)
    is_silent: bool = False

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        if self.is_silent:
            return BillState.CANNOT_SAY, None
        usage = self.billed.get(attempt_id)
        return (BillState.BILLED, usage) if usage else (BillState.NOT_BILLED, None)


class BudgetMachine(RuleBasedStateMachine):
    organization: ClassVar[Organization]
    monkeypatch: ClassVar[pytest.MonkeyPatch]

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOON
        self.calls: list[Call] = []
        self.book = ProviderBook()
        self.cut: set[int] = set()
        self._set_clock()
        self.monkeypatch.setattr(sweeper, "adapter_for", lambda _name: self.book)

    def _set_clock(self) -> None:
        self.monkeypatch.setattr(timezone, "now", lambda: self.now)

    @initialize(fits=st.integers(1, 4), rollover=st.booleans())
    def make_budgets(self, fits: int, rollover: bool) -> None:
        """Create budgets of the organization, a user, and a model; deactivate those of earlier examples."""
        with system_scope():
            Budget.objects.update(is_active=False)
            self.limit = fits * 40_000
            shared = {"organization": self.organization, "enforcement": "block", "rollover_unused": rollover}
            Budget.objects.create(period="daily", limit_nano=self.limit, **shared)
            Budget.objects.create(
                period="monthly", scope="user", scope_value="ada", limit_nano=self.limit * 2, **shared
            )
            Budget.objects.create(
                period="weekly", scope="model", scope_value="/".join(EXPENSIVE), limit_nano=self.limit * 4, **shared
            )

    @rule(usage=usages, model=st.sampled_from([CHEAP, EXPENSIVE]), times=st.integers(1, 3), end=st.sampled_from(ENDS))
    def call(self, usage: TokenUsage, model: tuple[str, str], times: int, end: str) -> None:
        """The usual life of a call in one step."""
        for number in range(times):
            self.reserve(usage, model, "ada")
            self.dispatch(number, arrives=end != "refused")
        match end:
            case "answered":
                self.settle(0, times)
            case "refused":
                self.fail(0)
            case "crashed with unknown outcome":
                self.crash_and_sweep(is_silent=True)

    @rule(usage=usages, model=st.sampled_from([CHEAP, EXPENSIVE]), user=st.sampled_from(["ada", "bob"]))
    def reserve(self, usage: TokenUsage, model: tuple[str, str], user: str) -> None:
        order = AttemptOrder(
            self.organization.pk,
            *model,
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=TOKENS_MAX[model],
            user_ref=user,
        )
        before = self._windows()
        rows = self._count()
        try:
            with system_scope():
                attempt = open_attempt(order)
        except BudgetRefusedError as refusal:
            self._was_right(refusal, before)
            assert self._count() == rows
        else:
            self.calls.append(Call(attempt.id, usage))

    def _windows(self) -> dict[int, OpenWindow]:
        with system_scope():
            refresh_rollovers(self.now)
            return {each.window.budget_id: each for each in windows_now(self.organization.pk, self.now)}

    def _was_right(self, refusal: BudgetRefusedError, before: dict[int, OpenWindow]) -> None:
        window = before[refusal.budget.id]
        assert refusal.needed_nano > window.free_nano
        is_spent = window.window.committed_nano + refusal.needed_nano > window.limit_nano
        assert type(refusal) is (BudgetExceededError if is_spent else BudgetBusyError)

    def _count(self) -> int:
        with system_scope():
            return Attempt.objects.count()

    def _some(self, number: int, states: set[AttemptState]) -> Call | None:
        some = [call for call in self.calls if call.state in states]
        return some[number % len(some)] if some else None

    def _row(self, call: Call) -> Attempt:
        return Attempt.objects.select_related("price").get(id=call.id)

    @rule(number=calls, arrives=st.booleans())
    def dispatch(self, number: int, arrives: bool) -> None:
        if call := self._some(number, {AttemptState.RESERVED}):
            with system_scope():
                assert attempts.dispatch(self._row(call), timedelta(seconds=30))
            call.state = AttemptState.DISPATCHED
            if arrives:
                self._bill(call)

    def _bill(self, call: Call) -> None:
        call.is_billed = True
        self.book.billed[call.id] = call.usage

    @rule(number=calls, times=st.integers(1, 2))
    def settle(self, number: int, times: int) -> None:
        """Settle a call immediately, twice, or late: after its bound was booked as an estimate."""
        call = self._some(number, {AttemptState.DISPATCHED, AttemptState.ESTIMATED})
        if call and call.is_billed:
            with system_scope():
                for _ in range(times):
                    attempts.settle(self._row(call), call.usage, {})
            call.state = AttemptState.SETTLED

    @rule(number=calls)
    def fail(self, number: int) -> None:
        """The provider rejects the call, or it is withdrawn before it is sent."""
        call = self._some(number, {AttemptState.RESERVED, AttemptState.DISPATCHED})
        if call and not call.is_billed:
            with system_scope():
                attempts.release(self._row(call), "RATE_LIMITED")
            call.state = AttemptState.RELEASED

    @rule(number=calls)
    def time_out(self, number: int) -> None:
        if call := self._some(number, {AttemptState.DISPATCHED}):
            with system_scope():
                attempts.estimate(self._row(call), "TIMEOUT")
            call.state = AttemptState.ESTIMATED

    @rule(is_silent=st.booleans())
    def crash_and_sweep(self, is_silent: bool) -> None:
        """The callers crashed; two sweepers run, and the provider may or may not report its bill."""
        self.book.is_silent = is_silent
        with system_scope():
            unknown = {AttemptState.DISPATCHED, AttemptState.ESTIMATED}
            Attempt.objects.filter(state__in=unknown).update(deadline_at=self.now - timedelta(seconds=1))
        sweeper.sweep_unknown_outcomes()
        sweeper.sweep_unknown_outcomes()
        for call in self.calls:
            if call.state in unknown and is_silent:
                call.state = AttemptState.ESTIMATED
            elif call.state in unknown:
                call.state = AttemptState.SETTLED if call.is_billed else AttemptState.RELEASED

    @rule(number=calls, usage=usages)
    def fall_back(self, number: int, usage: TokenUsage) -> None:
        """A call fails, and the next one goes to the more expensive model, which may be rejected."""
        self.fail(number)
        self.reserve(usage, EXPENSIVE, "ada")

    @rule(hours=st.sampled_from([-30, -1, 1, 13, 24, 24 * 8]))
    def step_the_clock(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(factor=st.sampled_from([0, 1, 3]))
    def change_the_limit(self, factor: int) -> None:
        """Change the budget and its current windows together, as an administrator does."""
        with system_scope():
            budgets = Budget.objects.filter(is_active=True, period="daily")
            budgets.update(limit_nano=self.limit * factor)
            windows = BudgetWindow.objects.filter(budget__in=list(budgets), ends_at__gt=self.now)
            windows.update(limit_nano=self.limit * factor + F("rollover_nano"))
            over = windows.filter(committed_nano__gt=F("limit_nano") - F("reserved_nano"))
            self.cut |= set(over.values_list("id", flat=True))

    @invariant()
    def the_books_agree(self) -> None:
        assert list(disagreements()) == []

    @invariant()
    def no_money_is_free_that_may_have_been_spent(self) -> None:
        with system_scope():
            rows = Attempt.objects.select_related("price").in_bulk([call.id for call in self.calls if call.is_billed])
        for call in self.calls:
            if row := rows.get(call.id):
                counted = row.bound_nano if row.state == AttemptState.DISPATCHED else row.cost_nano
                assert counted >= cost_of(call.usage, row.price)

    @invariant()
    def nothing_is_above_a_limit_that_was_not_cut(self) -> None:
        with system_scope():
            above = BudgetWindow.objects.filter(
                Q(committed_nano__gt=F("limit_nano") - F("reserved_nano")), budget__is_active=True
            )
            assert set(above.values_list("id", flat=True)) <= self.cut

    def teardown(self) -> None:
        """When all calls have ended, nothing is held, and the ledger equals the provider's bill."""
        with system_scope():
            for call in self.calls:
                attempts.release(self._row(call)) if call.state == AttemptState.RESERVED else None
        self.crash_and_sweep(is_silent=False)
        fold()
        assert list(disagreements()) == []
        with system_scope():
            for call in self.calls:
                row = self._row(call)
                assert row.state in ENDED
                assert row.cost_nano == (cost_of(call.usage, row.price) if call.is_billed else 0)
            assert not BudgetWindow.objects.exclude(reserved_nano=0).exists()
