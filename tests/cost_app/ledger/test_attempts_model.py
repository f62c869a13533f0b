"""Attempts against a reference model and a simulated provider: all steps in any order, on two connections.

The model is the table in docs/cost.md. The provider bills calls that were sent, whatever happened to their senders.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connections
from django.utils import timezone
from hypothesis import Phase
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiinfra.providers.base import BillState, TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.ledger import attempts, sweeper
from cost_app.ledger.admission import AttemptOrder, open_attempt
from cost_app.models import Attempt, AttemptState, LedgerEntry
from cost_app.prices.pricing import cost_of

RESERVED, DISPATCHED = AttemptState.RESERVED, AttemptState.DISPATCHED
SETTLED, ESTIMATED, RELEASED = AttemptState.SETTLED, AttemptState.ESTIMATED, AttemptState.RELEASED
OPEN = {RESERVED, DISPATCHED}
Answer = tuple[BillState, TokenUsage | None]

tokens = st.integers(0, 60)
SAYS = st.sampled_from(["truth", "running", "cannot say", "nothing"])
usages = st.builds(TokenUsage, input=tokens, cache_read=tokens, cache_write=tokens, output=st.integers(0, 500))


@dataclass
class Twin:
    """The expected state of an attempt, and what the provider did with its call."""

    id: UUID
    request_id: UUID
    usage: TokenUsage
    price: Any
    bound: int
    state: AttemptState = RESERVED
    cost: int = 0
    may_be_sent: bool = False
    is_billed: bool = False
    is_unknowable: bool = False

    def bill(self) -> Answer:
        return (BillState.BILLED, self.usage) if self.is_billed else (BillState.NOT_BILLED, None)

    def end(self, state: AttemptState, cost: int) -> None:
        self.state, self.cost = state, cost

    @property
    def true_cost(self) -> int:
        return cost_of(self.usage, self.price) if self.is_billed else 0


class ProviderBook:
    """The adapter that the sweeper asks; returns the answer that the test sets."""

    def __init__(self) -> None:
        self.answers: dict[UUID, Answer | None] = {}

    def bill_of(self, attempt_id: UUID) -> Answer:
        answer = self.answers[attempt_id]
        if answer is None:
            raise ConnectionError("the provider is not responding")
        return answer


class AttemptMachine(RuleBasedStateMachine):
    twins = Bundle("twins")
    organization: ClassVar[Organization]
    book: ClassVar[ProviderBook]
    other_connection: ClassVar[ThreadPoolExecutor]

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Twin] = []

    def run(self, elsewhere: bool, step: Callable[..., Any], *arguments: Any) -> Any:
        def in_scope() -> Any:
            with system_scope():
                return step(*arguments)

        return self.other_connection.submit(in_scope).result() if elsewhere else in_scope()

    def row(self, twin: Twin) -> Attempt:
        with system_scope():
            return Attempt.objects.select_related("price").get(id=twin.id)

    @initialize(target=twins, usage=usages)
    def open_first(self, usage: TokenUsage) -> Twin:
        return self._open(usage, elsewhere=False)

    @precondition(lambda self: len(self.all) < 2)
    @rule(target=twins, usage=usages)
    def open_second(self, usage: TokenUsage) -> Twin:
        return self._open(usage, elsewhere=True)

    def _open(self, usage: TokenUsage, *, elsewhere: bool) -> Twin:
        order = AttemptOrder(
            organization_id=self.organization.pk,
            provider="anthropic",
            model="claude-haiku-4-5",
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=200,
            request_id=uuid4(),
        )
        row = self.run(elsewhere, open_attempt, order)
        twin = Twin(row.id, row.request_id, usage, row.price, row.bound_nano)
        self.all.append(twin)
        return twin

    @rule(twin=twins, elsewhere=st.booleans())
    def dispatch(self, twin: Twin, elsewhere: bool) -> None:
        went = self.run(elsewhere, attempts.dispatch, self.row(twin), timedelta(seconds=30))
        assert went is (twin.state == RESERVED)
        if went:
            twin.state, twin.may_be_sent = DISPATCHED, True

    @rule(twin=twins)
    def the_provider_bills(self, twin: Twin) -> None:
        """The call arrives: immediately, or long after its worker froze and was presumed dead."""
        twin.is_billed = twin.is_billed or twin.may_be_sent

    @rule(twin=twins, elsewhere=st.booleans(), error=st.sampled_from(["", "SERVER_ERROR"]), times=st.integers(1, 2))
    def settle(self, twin: Twin, elsewhere: bool, error: str, times: int) -> None:
        if twin.is_billed:
            for _ in range(times):
                self.run(elsewhere, attempts.settle, self.row(twin), twin.usage, {"from": "the provider"}, error)
            twin.end(SETTLED, twin.true_cost)

    @rule(twin=twins, elsewhere=st.booleans(), times=st.integers(0, 2))
    def call(self, twin: Twin, elsewhere: bool, times: int) -> None:
        """The usual life of a call in one step: sent, billed, and reported once, twice, or never."""
        self.dispatch(twin, elsewhere)
        self.the_provider_bills(twin)
        if times:
            self.settle(twin, elsewhere, "", times)

    @rule(twin=twins, elsewhere=st.booleans())
    def estimate(self, twin: Twin, elsewhere: bool) -> None:
        self.run(elsewhere, attempts.estimate, self.row(twin), "TIMEOUT")
        if twin.state == DISPATCHED:
            twin.end(ESTIMATED, twin.bound)

    @rule(twin=twins, elsewhere=st.booleans())
    def release(self, twin: Twin, elsewhere: bool) -> None:
        """Release a call that the provider has definitely not accepted."""
        if not twin.is_billed:
            self.run(elsewhere, attempts.release, self.row(twin), "RATE_LIMITED")
            if twin.state in OPEN:
                twin.end(RELEASED, 0)
                twin.may_be_sent = False

    @rule(twin=twins, elsewhere=st.booleans())
    def withdraw(self, twin: Twin, elsewhere: bool) -> None:
        withdrawn = self.run(elsewhere, attempts.withdraw, twin.request_id, 1, "CANCELLED")
        assert withdrawn is (twin.state == RESERVED)
        if withdrawn:
            twin.end(RELEASED, 0)

    @rule(twin=twins, elsewhere=st.booleans())
    def abandon(self, twin: Twin, elsewhere: bool) -> None:
        self.run(elsewhere, attempts.abandon, twin.request_id, 1, "WORKER_LOST")
        if twin.state == RESERVED:
            twin.end(RELEASED, 0)
        elif twin.state == DISPATCHED:
            twin.end(ESTIMATED, twin.bound)

    @rule(twin=twins, elsewhere=st.booleans(), says=SAYS)
    def sweep(self, twin: Twin, elsewhere: bool, says: str) -> None:
        answers: dict[str, Answer | None] = {
            "truth": twin.bill(),
            "running": (BillState.RUNNING, None),
            "cannot say": (BillState.CANNOT_SAY, None),
            "nothing": None,
        }
        if not self._is_looked_at(twin):
            return
        self._sweep({twin.id: answers[says]}, elsewhere)
        twin.end(ESTIMATED, twin.bound)
        if says == "truth":
            twin.end(SETTLED if twin.is_billed else RELEASED, twin.true_cost)
        twin.is_unknowable = says == "cannot say"

    @rule(twin=twins, says=SAYS)
    def freeze(self, twin: Twin, says: str) -> None:
        """A worker freezes between recording and sending its call until it is presumed dead; `call` resumes it."""
        self.dispatch(twin, False)
        self.sweep(twin, False, says)

    def _is_looked_at(self, twin: Twin) -> bool:
        return twin.state in {DISPATCHED, ESTIMATED} and not twin.is_unknowable

    def _sweep(self, answers: dict[UUID, Answer | None], elsewhere: bool) -> None:
        self.book.answers = answers
        with system_scope():
            Attempt.objects.update(deadline_at=None)
            Attempt.objects.filter(id__in=answers).update(deadline_at=timezone.now() - timedelta(seconds=1))
        assert self.run(elsewhere, sweeper.sweep_unknown_outcomes) == len(answers)

    @invariant()
    def ledger_and_attempts_are_what_the_model_says(self) -> None:
        with system_scope():
            rows = {row.id: row for row in Attempt.objects.filter(id__in=[twin.id for twin in self.all])}
            booked: dict[UUID, list[int]] = {twin.id: [] for twin in self.all}
            for attempt_id, nano in LedgerEntry.objects.filter(attempt__in=booked).values_list("attempt_id", "nano"):
                booked[attempt_id].append(nano)
        for twin in self.all:
            assert (rows[twin.id].state, rows[twin.id].cost_nano) == (twin.state, twin.cost)
            assert sum(booked[twin.id]) == twin.cost

    def teardown(self) -> None:
        """At the end, the ledger equals the provider's bill, except where the provider could not say."""
        unknown = [twin for twin in self.all if self._is_looked_at(twin)]
        self._sweep({twin.id: twin.bill() for twin in unknown}, elsewhere=False)
        for twin in self.all:
            row = self.row(twin)
            is_open = row.state in {RESERVED, RELEASED}
            is_reported_late = twin.is_billed and row.state == RELEASED
            if row.state == ESTIMATED:
                assert twin.is_unknowable
                assert row.cost_nano == twin.bound
            elif not is_reported_late:
                assert row.cost_nano == (0 if is_open else twin.true_cost)


@pytest.fixture
def machine(
    transactional_db: None, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Runs the state machine; deadlines are a day away, so calls are overdue only when the test says so."""
    monkeypatch.setattr(attempts, "DEADLINE_GRACE", timedelta(days=1))
    AttemptMachine.organization = organization
    AttemptMachine.book = ProviderBook()
    monkeypatch.setattr(sweeper, "adapter_for", lambda _name: AttemptMachine.book)
    with ThreadPoolExecutor(1) as AttemptMachine.other_connection:

        def run(examples: int, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
            run_state_machine_as_test(
                AttemptMachine,
                settings=limits(
                    max_examples=examples,
                    stateful_step_count=15,
                    deadline=None,
                    database=None,
                    derandomize=True,
                    phases=phases,
                ),
            )

        yield run
        AttemptMachine.other_connection.submit(connections.close_all).result()


def test_money_is_booked_once_and_correctly(machine: Callable[..., None]) -> None:
    machine(60, (Phase.generate,))


def ignore_state(attempt: Attempt, before: set[AttemptState], after: AttemptState, **columns: Any) -> bool:
    return bool(Attempt.objects.change({"state": after, **columns}, id=attempt.id))


@pytest.mark.parametrize(
    ("where", "name", "bug"),
    [
        pytest.param(attempts, "_move", ignore_state, id="settles twice"),
        pytest.param(attempts, "estimate", attempts.release, id="refunds after a timeout"),
        pytest.param(sweeper, "estimate", attempts.release, id="releases sent calls"),
    ],
)
def test_the_model_detects_planted_bugs(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch, where: Any, name: str, bug: Callable[..., Any]
) -> None:
    monkeypatch.setattr(where, name, bug)
    with pytest.raises((AssertionError, IntegrityError)):
        machine(60, (Phase.generate,))
