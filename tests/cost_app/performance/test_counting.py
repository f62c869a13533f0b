"""Calls per model: each finished call counts once despite crashes, and only successful calls have a latency."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app import create_cost_optimizer
from cost_app.ledger import attempts, cache_hits, rollups
from cost_app.models import Attempt, LedgerEntry, ModelHour, ModelMinute, ModelState
from cost_app.performance import counting, figures
from cost_app.performance.figures import Performance

pytestmark = pytest.mark.django_db
USAGE = TokenUsage(input=20, output=10)
NOW = datetime(2026, 7, 1, 12, 30, 20, tzinfo=UTC)
Opened = Callable[..., Attempt]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """A clock that stands still until the test advances it."""
    at = [NOW]
    monkeypatch.setattr(timezone, "now", lambda: at[0])
    monkeypatch.setattr(LedgerEntry._meta.get_field("at"), "_get_default", lambda: at[0])

    def move(by: timedelta) -> None:
        at[0] += by

    return move


@pytest.fixture
def call(open_attempt: Opened, clock: Callable[[timedelta], None]) -> Callable[..., Attempt]:
    """Makes a call with this latency that ends with an error code or successfully."""

    def make(
        latency_ms: int = 1_000,
        error_code: str = "",
        *,
        billed: bool = False,
        uncounted: bool = False,
        **fields: object,
    ) -> Attempt:
        attempt = open_attempt(**fields)
        with organization_scope(attempt.organization_id):
            attempts.dispatch(attempt, timedelta(seconds=30))
            clock(timedelta(milliseconds=latency_ms))
            if uncounted:
                attempts.settle_uncounted(attempt, None, {})
            elif not error_code or billed:
                attempts.settle(attempt, USAGE, {}, error_code, "it failed" if error_code else "")
            else:
                attempts.release(attempt, error_code, "it failed")
        return attempt

    return make


Call = Callable[..., Attempt]


def found(organization: Organization, hours: int = 24) -> Performance:
    rollups.fold()
    with organization_scope(organization.pk):
        (only,) = figures.performance(hours)
    return only


def test_a_call_counts_once_for_any_number_of_folds(call: Call, organization: Organization) -> None:
    call(1_000)
    call(3_000)
    for _ in range(3):
        each = found(organization)
    assert (each.calls, each.failures, each.average) == (2, 0, 2_000)
    assert each.p50 == pytest.approx(1_000, rel=0.025)
    assert each.p99 == pytest.approx(3_000, rel=0.025)


def test_killed_fold_counts_nothing_and_the_next_one_counts_once(
    call: Call, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    call()
    with monkeypatch.context() as broken:
        broken.setattr(rollups, "count_calls", lambda *_: (_ for _ in ()).throw(OverflowError))
        rollups.fold()
        with system_scope():
            assert not ModelHour.objects.exists()
    assert found(organization).calls == 1


@pytest.mark.parametrize("billed", [True, False])
def test_failed_call_counts_by_error_code_but_not_in_the_latency(
    call: Call, organization: Organization, billed: bool
) -> None:
    call(1_000)
    call(30_000, "TIMEOUT", billed=billed)
    call(200, "SERVER_ERROR")
    each = found(organization)
    assert (each.calls, each.failures, each.average, each.timed_calls) == (3, 2, 1_000, 1)
    assert each.errors == {"TIMEOUT": 1, "SERVER_ERROR": 1}


def test_an_answer_without_token_counts_is_successful(call: Call, organization: Organization) -> None:
    call(700, uncounted=True)
    each = found(organization)
    assert (each.calls, each.failures, each.average) == (1, 0, 700)


def test_an_unsent_attempt_does_not_count(open_attempt: Opened, organization: Organization) -> None:
    attempt = open_attempt()
    with organization_scope(organization.pk):
        attempts.release(attempt, "CIRCUIT_OPEN", "open")
        rollups.fold()
        assert figures.performance() == []


def test_a_cache_hit_does_not_count(call: Call, organization: Organization, clock: Callable[[timedelta], None]) -> None:
    call(1_000)
    with organization_scope(organization.pk):
        cache_hits.book_cache_hit(
            organization_id=organization.pk,
            request_id=uuid4(),
            provider="deepseek",
            model="deepseek-chat",
            usage=USAGE,
            latency_ms=10,
        )
        assert found(organization).calls == 1
        (metrics,) = create_cost_optimizer().get_cost_metrics(organization.slug, "hourly", 1)
    assert metrics.average_latency_ms == 1_000


def test_late_bill_of_a_lost_call_does_not_count_it_again(
    call: Call, open_attempt: Opened, organization: Organization
) -> None:
    attempt = open_attempt()
    with organization_scope(organization.pk):
        attempts.dispatch(attempt, timedelta(seconds=30))
        attempts.estimate(attempt, "WORKER_LOST")
        rollups.fold()
        attempts.settle(attempt, USAGE, {})
    each = found(organization)
    assert (each.calls, each.errors) == (1, {"WORKER_LOST": 1})


def test_outage_starts_with_the_first_failure_and_ends_with_a_success(call: Call, organization: Organization) -> None:
    call()
    call(500, "SERVER_ERROR")
    call(500, "TIMEOUT")
    rollups.fold()
    with organization_scope(organization.pk):
        state = ModelState.objects.get()
        assert state.failing_since == NOW + timedelta(milliseconds=1_500)
        assert (state.failures, sorted(state.errors)) == (2, ["SERVER_ERROR", "TIMEOUT"])
        assert state.errors["TIMEOUT"][1] == "it failed"
    call()
    rollups.fold()
    with organization_scope(organization.pk):
        state = ModelState.objects.get()
        assert (state.failing_since, state.failures) == (None, 0)


def test_invalid_request_is_not_an_outage(call: Call, organization: Organization) -> None:
    call(100, "INVALID_REQUEST")
    rollups.fold()
    with organization_scope(organization.pk):
        state = ModelState.objects.get()
    assert (state.failing_since, list(state.errors)) == (None, ["INVALID_REQUEST"])


def test_calls_of_other_organizations_are_not_visible(
    call: Call, organization: Organization, other_organization: Organization
) -> None:
    call(organization_id=other_organization.pk)
    rollups.fold()
    with organization_scope(organization.pk):
        assert (figures.performance(), figures.model_states(), figures.model_minutes(timedelta(hours=1))) == (
            [],
            [],
            [],
        )


def test_average_latency_covers_only_successful_calls(
    call: Call, organization: Organization, other_organization: Organization
) -> None:
    call(1_000)
    call(4_000, organization_id=other_organization.pk)
    call(9_000, "TIMEOUT")
    rollups.fold()
    cost = create_cost_optimizer()
    assert cost.average_latency("deepseek") == 2_500
    assert cost.average_latency("deepseek", hours=1, organization_id="north") == 1_000
    assert cost.average_latency("openai") is None
    with pytest.raises(LookupError):
        cost.average_latency("deepseek", organization_id="nobody")


def test_calls_before_the_range_do_not_count(
    call: Call, organization: Organization, clock: Callable[[timedelta], None]
) -> None:
    call(1_000)
    rollups.fold()
    clock(timedelta(hours=3))
    call(3_000)
    assert found(organization, hours=1).calls == 1
    assert found(organization, hours=24).calls == 2


def test_counts_past_their_retention_are_removed(
    call: Call, organization: Organization, clock: Callable[[timedelta], None]
) -> None:
    call()
    rollups.fold()
    for passes, hours, minutes in ((counting.MINUTES_KEPT, 1, 0), (counting.HOURS_KEPT, 0, 0)):
        clock(passes + timedelta(hours=1))
        with organization_scope(organization.pk):
            counting.delete_expired()
            assert (ModelHour.objects.count(), ModelMinute.objects.count()) == (hours, minutes)
