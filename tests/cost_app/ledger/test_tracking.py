"""Usage that did not pass through here."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger.agreement import disagreements
from cost_app.ledger.tracking import ReportConflictError, ReportedTooLateError, TrackedCall, track_request
from cost_app.ledger.usage import fold
from cost_app.models import Attempt, Budget, BudgetWindow, CostPolicy, LedgerEntry, UsageDay
from cost_app.prices.book import ModelNotPricedError

USAGE = TokenUsage(input=100, output=150)
COST = 56_000


@pytest.fixture
def track(organization: Organization) -> Callable[..., Attempt]:
    """Reports a call of deepseek-chat; the arguments are the fields of `TrackedCall`."""

    def make(usage: TokenUsage = USAGE, model: str = "deepseek-chat", **fields: object) -> Attempt:
        call = TrackedCall(**fields)  # type: ignore[arg-type]
        with organization_scope(organization.pk):
            return track_request(organization.pk, "deepseek", model, usage, call)

    return make


Track = Callable[..., Attempt]


@pytest.fixture(autouse=True)
def scoped(organization: Organization) -> object:
    with organization_scope(organization.pk):
        yield


def test_a_reported_call_is_in_ledger_sums_and_budgets(track: Track, organization: Organization) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=1, enforcement="block")
    track(user_ref="ada", tags=["red"], latency_ms=2400, priority=100)
    fold()
    (entry,) = LedgerEntry.objects.all()
    assert (entry.kind, entry.nano, entry.calls, entry.errors, entry.latency_ms) == ("external", COST, 1, 0, 2400)
    assert BudgetWindow.objects.get().committed_nano == COST
    assert UsageDay.objects.get(dimension="user").nano == COST
    assert list(disagreements()) == []


def test_a_cached_answer_costs_nothing_and_is_counted_as_saved(track: Track) -> None:
    track(cached=True)
    fold()
    total = UsageDay.objects.get(dimension="total")
    assert (total.nano, total.saved_nano, total.cache_hits, total.calls) == (0, COST, 1, 1)
    assert list(disagreements()) == []


def test_a_report_with_an_id_is_booked_once(track: Track) -> None:
    first = track(external_id="invoice-7")
    assert track(external_id="invoice-7").id == first.id
    assert LedgerEntry.objects.count() == 1
    with pytest.raises(ReportConflictError):
        track(TokenUsage(input=1), external_id="invoice-7")


def test_a_call_of_last_week_is_booked_on_its_day_and_in_no_later_window(
    track: Track, organization: Organization
) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=10**9)
    track()
    before = timezone.now() - timedelta(days=7)
    track(at=before)
    fold()
    assert BudgetWindow.objects.get().committed_nano == COST
    assert UsageDay.objects.filter(dimension="total").count() == 2
    assert list(disagreements()) == []


@pytest.mark.parametrize("days", [-40, 1])
def test_a_call_of_another_time_is_refused(track: Track, days: int) -> None:
    with pytest.raises(ReportedTooLateError):
        track(at=timezone.now() + timedelta(days=days))


def test_a_failed_call_is_an_error(track: Track) -> None:
    track(success=False)
    assert LedgerEntry.objects.get().errors == 1


def test_a_model_without_a_price_is_refused_or_booked_at_nothing(track: Track, organization: Organization) -> None:
    with pytest.raises(ModelNotPricedError):
        track(model="nothing")
    CostPolicy.objects.create(organization=organization, unpriced_models="warn")
    attempt = track(model="nothing")
    assert (attempt.price, LedgerEntry.objects.get().nano) == (None, 0)
