"""Concurrent processes that open calls on a budget; see `tests.support.race`. Their argument is the number of calls."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from aiinfra.providers.tokens import count_tokens
from tests.support.race import Racer, is_signaled, run_racer, signal_event, wait_for, wait_for_all

if TYPE_CHECKING:
    from cost_app.models import Attempt

CHEAP, EXPENSIVE = ("deepseek", "deepseek-chat"), ("openai", "gpt-3.5-turbo")
BEFORE_MIDNIGHT = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)
"""23:30 in Berlin."""


def _open(model: tuple[str, str] = CHEAP) -> "Attempt | str":
    """Open an attempt; return it, or the type of refusal."""
    from django.db import transaction

    from aiinfra.tenants.models import Organization
    from cost_app.budgets.refusals import BudgetRefusedError
    from cost_app.ledger.admission import AttemptOrder, open_attempt

    messages = [{"role": "user", "content": "Hi"}]
    order = AttemptOrder(Organization.objects.get(slug="north").pk, *model, messages, 100, request_id=uuid4())
    try:
        with transaction.atomic():
            return open_attempt(order)
    except BudgetRefusedError as refusal:
        return type(refusal).__name__


def _outcome(attempt: "Attempt | str") -> str:
    return attempt if isinstance(attempt, str) else "admitted"


def admit(argument: str) -> Iterator[object]:
    """Open calls and keep them open."""
    from aiinfra.tenants.scope import system_scope

    with system_scope():
        for _ in range(int(argument)):
            yield _outcome(_open())


def fall_back(argument: str) -> Iterator[object]:
    """Open calls that the provider rejects, and fall back to a more expensive model in the same transaction."""
    from django.db import transaction

    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts

    with system_scope():
        for _ in range(int(argument)):
            attempt = _open()
            if isinstance(attempt, str):
                yield attempt
                continue
            attempts.dispatch(attempt, timedelta(seconds=30))
            with transaction.atomic():
                attempts.release(attempt, "SERVER_ERROR")
                yield _outcome(_open(EXPENSIVE))


def retry(argument: str) -> Iterator[object]:
    """Open calls that time out, and retry each: the bound of the first attempt stays booked."""
    from django.db import transaction

    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts

    with system_scope():
        for _ in range(int(argument)):
            attempt = _open()
            if isinstance(attempt, str):
                yield attempt
                continue
            attempts.dispatch(attempt, timedelta(seconds=30))
            with transaction.atomic():
                attempts.estimate(attempt, "TIMEOUT")
                yield _outcome(_open())


def roll_over(argument: str) -> Iterator[object]:
    """Open half of the calls before midnight and settle them, and open the other half after midnight."""
    from django.utils import timezone

    from aiinfra.providers.base import TokenUsage
    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts

    count = int(argument)
    timezone.now = lambda: BEFORE_MIDNIGHT  # type: ignore[assignment]
    with system_scope():
        opened = [_open() for _ in range(count // 2)]
        wait_for_all()
        for attempt in opened:
            if not isinstance(attempt, str):
                attempts.settle(attempt, TokenUsage(input=10, output=1), {})
            yield f"before:{_outcome(attempt)}"
        wait_for_all()
        timezone.now = lambda: BEFORE_MIDNIGHT + timedelta(hours=1)
        for _ in range(count - count // 2):
            yield f"after:{_outcome(_open())}"


def _pause_until(event: str) -> None:
    """Wait for another racer's event, or until another racer waits for a lock of this one.

    SQLite has one writer, and needs no pause. pg_locks is read each time; pg_stat_activity keeps the state of its
    first read in the transaction, so a racer that connects later would never appear in it.
    """
    from django.db import connection

    waiting = (
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    )
    while connection.vendor == "postgresql" and not is_signaled(event):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return


def admit_first(_argument: str) -> Iterator[object]:
    """Admit a call, and commit it once the budget has been set or waits for the lock."""
    from django.db import transaction

    from aiinfra.tenants.scope import system_scope

    with system_scope(), transaction.atomic():
        outcome = _outcome(_open())
        signal_event("admitted")
        _pause_until("set")
    yield outcome


def set_second(_argument: str) -> Iterator[object]:
    """Set a budget while a call is being admitted."""
    wait_for("admitted")
    yield _set()


def settle_during_set(_argument: str) -> Iterator[object]:
    """Settle the open call while a budget is being set."""
    from aiinfra.providers.base import TokenUsage
    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts
    from cost_app.models import Attempt, AttemptState

    with system_scope():
        attempt = Attempt.objects.select_related("price").get(state=AttemptState.DISPATCHED)
        wait_for("summed")
        attempts.settle(attempt, TokenUsage(input=10, output=1), {})
        signal_event("settled")
    yield "settled"


def set_during_settle(_argument: str) -> Iterator[object]:
    """Set a budget, and pause after summing the ledger."""
    from cost_app.budgets import opening

    spent_between = opening.spent_between

    def summed(*arguments: object) -> int:
        nano = spent_between(*arguments)  # type: ignore[arg-type]
        signal_event("summed")
        _pause_until("settled")
        return nano

    opening.spent_between = summed  # type: ignore[assignment]
    yield _set()


def _set() -> str:
    from aiinfra.tenants.models import Organization
    from cost_app.budgets.manage import set_budget
    from cost_app.budgets.terms import BudgetTerms

    organization = Organization.objects.get(slug="north")
    terms = BudgetTerms(period="monthly", limit_nano=10**12, enforcement="block")
    set_budget(organization_id=organization.pk, terms=terms, actor="user:finance")
    signal_event("set")
    return "set"


RACES: dict[str, Racer] = {
    race.__name__: race
    for race in (admit, fall_back, retry, roll_over, admit_first, set_second, settle_during_set, set_during_settle)
}

if __name__ == "__main__":
    run_racer(RACES, prepare=lambda: count_tokens(""))
