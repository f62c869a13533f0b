"""The end of an attempt is one transaction: its state, ledger entries, and holds change together or not at all.

So do an entry and its place in the queue of the rollups.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.scope import system_scope
from cost_app.budgets import holds
from cost_app.ledger import attempts
from cost_app.models import Attempt, AttemptState, LedgerEntry, PendingUsage
from tests.cost_app.ledger.booking import Book

USAGE = TokenUsage(input=100, output=150)
Step = Callable[[Attempt], object]


def dispatch(attempt: Attempt) -> None:
    assert attempts.dispatch(attempt, timedelta(seconds=30))


def estimate(attempt: Attempt) -> None:
    dispatch(attempt)
    attempts.estimate(attempt)


def release(attempt: Attempt) -> None:
    dispatch(attempt)
    attempts.release(attempt)


def settle(attempt: Attempt) -> None:
    attempts.settle(attempt, USAGE, {})


def keep_reserved(_attempt: Attempt) -> None:
    """The attempt stays reserved."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("before", "end", "state"),
    [
        pytest.param(dispatch, settle, AttemptState.DISPATCHED, id="bill"),
        pytest.param(estimate, settle, AttemptState.ESTIMATED, id="bill after an estimate"),
        pytest.param(release, settle, AttemptState.RELEASED, id="late bill"),
        pytest.param(dispatch, attempts.estimate, AttemptState.DISPATCHED, id="estimate"),
        pytest.param(estimate, attempts.refund, AttemptState.ESTIMATED, id="refund"),
        pytest.param(dispatch, attempts.release, AttemptState.DISPATCHED, id="call that was not billed"),
        pytest.param(keep_reserved, attempts.release, AttemptState.RESERVED, id="call that was not sent"),
    ],
)
def test_crash_before_holds_are_closed_changes_nothing(
    before: Step, end: Step, state: AttemptState, open_attempt: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    with system_scope():
        attempt = open_attempt(max_tokens=200)
        before(attempt)
        entries = LedgerEntry.objects.count()

        def crash(*_: object) -> None:
            raise RuntimeError("crashed")

        monkeypatch.setattr(holds, "close", crash)
        with pytest.raises(RuntimeError, match="crashed"):
            end(attempt)
        assert (Attempt.objects.get().state, LedgerEntry.objects.count()) == (state, entries)


@pytest.mark.django_db(transaction=True)
def test_entry_that_cannot_be_queued_is_not_written(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("crashed")

    monkeypatch.setattr(PendingUsage.objects, "create", crash)
    with pytest.raises(RuntimeError, match="crashed"):
        book()
    with system_scope():
        assert not LedgerEntry.objects.exists()
