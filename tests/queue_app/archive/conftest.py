"""An organization whose October requests have ended and have no prompts; the month is closed, and it is January."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app import create_cost_optimizer
from cost_app.finance.month_close import close_month
from cost_app.finance.months import find_month
from cost_app.ledger import attempts
from cost_app.models import Attempt
from queue_app.archive import moving
from queue_app.models import AIRequest, RequestContent, Status
from tests.queue_app.conftest import refusal

cost = create_cost_optimizer()

OCTOBER = "2026-10-01"
SENT = datetime(2026, 10, 5, 12, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 2, tzinfo=UTC)
JANUARY = datetime(2027, 1, 5, tzinfo=UTC)
Ask = Callable[..., AIRequest]
Clock = Callable[[datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the product's clock, which also dates new ledger entries."""
    book = attempts.book_entry
    monkeypatch.setattr(attempts, "book_entry", lambda **columns: book(**{"at": timezone.now(), **columns}))
    return lambda moment: monkeypatch.setattr(timezone, "now", lambda: moment)


@pytest.fixture
def ask(submit: Callable[..., AIRequest], clock: Clock) -> Ask:
    """Creates an ended request: its attempts are booked, and its prompt is deleted."""

    def make(at: datetime = SENT, outcome: str = "settled", **fields: object) -> AIRequest:
        clock(at)
        request = submit(**fields)
        with organization_scope(request.organization_id):
            _book(request, outcome)
            ended = {"status": Status.COMPLETED, "completed_at": at + timedelta(seconds=2), "counted": True}
            AIRequest.objects.filter(id=request.id).update(**ended)
            Attempt.objects.filter(request_id=request.id).update(created_at=at)
            RequestContent.objects.filter(request_id=request.id).delete()
        return request

    return make


def _book(request: AIRequest, outcome: str) -> None:
    attempt = cost.current_attempt(request.id, 1)
    if outcome == "unsent":
        cost.withdraw(request.id, 1, "CIRCUIT_OPEN")
        return
    assert cost.dispatch(attempt, timedelta(minutes=1))
    if outcome == "failed":
        cost.book_failure(attempt, refusal("RATE_LIMITED"))
    else:
        cost.settle(attempt, TokenUsage(input=2_000, output=1_000), {"prompt_tokens": 2_000})


@pytest.fixture
def close(clock: Clock) -> Callable[[Organization], None]:
    """Closes the organization's October in November, and sets the clock to January."""

    def make(organization: Organization) -> None:
        clock(NOVEMBER)
        with organization_scope(organization.pk):
            month = find_month(organization.pk, OCTOBER)
            assert month
            close_month(organization=organization, month=month, actor="user:finance")
        clock(JANUARY)

    return make


@pytest.fixture
def october(ask: Ask, close: Callable[[Organization], None], organization: Organization) -> list[AIRequest]:
    """Seven requests: five were answered, one failed, one was never sent."""
    outcomes = ["settled", "failed", "unsent", *["settled"] * 4]
    requests = [ask(SENT + timedelta(hours=n), each, tags=["ü"]) for n, each in enumerate(outcomes)]
    close(organization)
    return requests


def archive(organization: Organization, root: Path) -> list[moving.Moved]:
    """Archive every month that is due. Raises AssertionError if a month cannot be archived."""
    moved = []
    with organization_scope(organization.pk):
        for month, obstacle in moving.movable(organization.pk, moving.USAGE_COMES_UNTIL):
            assert not obstacle, obstacle
            moved.append(moving.move(organization, month, root, "command:archive"))
    return moved
