"""Direct calls, which the accepting process makes itself: when they start, and what they change."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from cost_app import create_cost_optimizer
from cost_app.facade import ModelNotPricedError
from cost_app.models import Attempt, BudgetWindow, LedgerEntry
from queue_app.control import pause
from queue_app.models import AIRequest, Priority, QueuePolicy, Status
from queue_app.ordering import index
from queue_app.ordering.claims import claim_next
from queue_app.processing import direct
from queue_app.processing.direct import DirectCall
from queue_app.repair.index_repair import IndexRepair, recover_expired_leases
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.queue_app.direct_calls import Start, index_is_empty, row
from tests.queue_app.test_provider_limits import limit

cost = create_cost_optimizer()
Submit = Callable[..., AIRequest]

pytestmark = pytest.mark.usefixtures("queue", "scoped")


@pytest.fixture(params=["redis", "rows"])
def rules(request: pytest.FixtureRequest, queue: None) -> str:
    """The source of the rules: Redis with a complete index, or the rows while the index is incomplete."""
    if request.param == "redis":
        index.mark_complete()
    return str(request.param)


@pytest.mark.usefixtures("rules")
def test_direct_call_is_committed_as_sent_before_it_is_made(start: Start, provider: ScriptedProvider) -> None:
    request, call = start()
    assert call.has_started
    stored, attempt = row(request), Attempt.objects.get()
    assert (stored.status, attempt.state) == (Status.PROCESSING, "dispatched")
    assert stored.is_direct
    assert stored.lease_until is not None and stored.lease_until > timezone.now()
    assert claim_next("worker") is None
    assert not provider.calls


@pytest.mark.usefixtures("rules")
def test_answer_is_booked_once_and_nothing_is_left_in_the_index(start: Start, provider: ScriptedProvider) -> None:
    request, call = start()
    ended = call.run()
    assert ended.status == row(request).status == Status.COMPLETED
    assert [attempt.id for attempt, _ in provider.calls] == [Attempt.objects.get().id]
    assert LedgerEntry.objects.count() == 1
    assert Attempt.objects.get().state == "settled"
    assert index_is_empty()
    assert not BudgetWindow.objects.exclude(reserved_nano=0).exists()


def test_running_direct_call_counts_like_a_claim(start: Start, provider: ScriptedProvider) -> None:
    index.mark_complete()
    limit("deepseek/deepseek-chat", 5)
    _, call = start()
    assert redis_client().zcard("{aiq}:claims") == 1
    assert list(redis_client().hgetall("{aiq}:inflight").values()) == ["1"]
    assert redis_client().zcard("{aiq}:calls:deepseek/deepseek-chat") == 1
    call.run()
    assert index_is_empty()
    assert redis_client().zcard("{aiq}:calls:deepseek/deepseek-chat") == 1


def test_paused_priority_waits(start: Start, rules: str, organization: Organization) -> None:
    pause(organization.pk, Priority.NORMAL, actor="test")
    waiting, call = start()
    assert not call.has_started
    assert row(waiting).status == Status.PENDING
    _, other = start(priority=Priority.HIGH)
    assert other.has_started


def test_organization_at_its_in_flight_limit_waits(start: Start, rules: str, organization: Organization) -> None:
    policy = QueuePolicy.objects.create(organization=organization, max_in_flight=1)
    index.set_policy(policy)
    (_, first), (second, other) = start(), start()
    assert (first.has_started, other.has_started) == (True, False)
    assert row(second).status == Status.PENDING


def test_call_waits_when_the_provider_limit_is_reached(start: Start, rules: str) -> None:
    limit("deepseek/deepseek-chat", 1)
    (_, first), (_, other), (_, other_provider) = start(), start(), start(provider="openai", model="gpt-3.5-turbo")
    assert (first.has_started, other.has_started, other_provider.has_started) == (True, False, True)


@pytest.mark.parametrize(
    ("waiting", "mine", "starts"),
    [
        (Priority.NORMAL, Priority.NORMAL, False),
        (Priority.HIGH, Priority.NORMAL, False),
        (Priority.LOW, Priority.NORMAL, True),
        (Priority.NORMAL, Priority.CRITICAL, True),
    ],
)
def test_ready_requests_of_equal_or_higher_priority_go_first(
    start: Start, submit: Submit, rules: str, waiting: Priority, mine: Priority, starts: bool
) -> None:
    submit(priority=waiting)
    _, call = start(priority=mine)
    assert call.has_started is starts


def test_low_priority_request_past_its_head_start_goes_first(start: Start, submit: Submit) -> None:
    index.mark_complete()
    old = submit(priority=Priority.LOW)
    index.remove(old)
    old.created_at = timezone.now() - timedelta(seconds=60)
    index.admit([old])
    _, call = start(priority=Priority.NORMAL)
    assert not call.has_started


def test_paused_requests_do_not_delay_a_direct_call(
    start: Start, submit: Submit, rules: str, organization: Organization
) -> None:
    submit(priority=Priority.HIGH)
    pause(organization.pk, Priority.HIGH, actor="test")
    _, call = start()
    assert call.has_started


def test_other_organizations_requests_do_not_delay_a_direct_call(
    start: Start, submit: Submit, rules: str, other_organization: Organization
) -> None:
    submit(organization_id=other_organization.pk, priority=Priority.CRITICAL)
    _, call = start()
    assert call.has_started


def test_other_organization_waiting_for_the_same_limit_goes_first(
    start: Start, submit: Submit, other_organization: Organization
) -> None:
    index.mark_complete()
    limit("deepseek/deepseek-chat", 1)
    _, first = start()
    assert first.has_started
    submit(organization_id=other_organization.pk)
    assert claim_next("worker") is None
    limit("deepseek/deepseek-chat", 2)
    claimed = claim_next("worker")
    assert claimed is not None and claimed.request.organization_id == other_organization.pk


def test_open_circuit_sends_the_call_to_the_queue(start: Start, rules: str, settings: Settings) -> None:
    settings.BREAKER_FAILURES = 1
    breaker.record_failure("deepseek", "deepseek-chat")
    request, call = start()
    assert not call.has_started
    assert row(request).status == Status.PENDING
    assert redis_client().zcard("{aiq}:claims") == 0


def test_deferred_call_waits(start: Start, rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    later = timezone.now() + timedelta(hours=1)
    original = direct.row_of

    def deferred(*arguments: object) -> AIRequest:
        made = original(*arguments)  # type: ignore[arg-type]
        made.not_before = later
        return made

    monkeypatch.setattr(direct, "row_of", deferred)
    _, call = start()
    assert not call.has_started


@pytest.mark.usefixtures("rules")
def test_refused_call_leaves_no_rows(start: Start) -> None:
    with pytest.raises(ModelNotPricedError):
        start(model="no-such-model")
    assert not AIRequest.objects.exists()
    assert index_is_empty()


def test_call_downgraded_by_a_budget_is_left_to_the_queue(
    start: Start, rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = direct.DirectCall.admit

    def downgraded(self: DirectCall, request: AIRequest, call: dict[str, object], attempt: Attempt) -> None:
        attempt.model = "another-model"
        original(self, request, call, attempt)

    monkeypatch.setattr(direct.DirectCall, "admit", downgraded)
    request, call = start()
    assert not call.has_started
    stored = row(request)
    assert (stored.status, stored.lease_until, stored.worker) == (Status.PENDING, None, "")
    claimed = claim_next("worker")
    assert claimed is not None and claimed.request.id == request.id


@pytest.mark.usefixtures("rules")
def test_failed_call_is_retried_by_a_worker(start: Start, provider: ScriptedProvider) -> None:
    provider.script = [refusal("SERVER_ERROR"), answer()]
    request, call = start()
    assert call.run().status == Status.PENDING
    stored = row(request)
    assert (stored.status, stored.attempt_number) == (Status.PENDING, 2)
    assert stored.not_before > stored.created_at
    assert [attempt.state for attempt in cost.attempts_of([request.id])] == ["released", "reserved"]


@pytest.mark.usefixtures("rules", "no_fallback")
def test_call_with_a_permanent_error_fails(start: Start, provider: ScriptedProvider) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    request, call = start()
    assert call.run().status == Status.FAILED
    assert row(request).error_code == "INVALID_REQUEST"
    assert index_is_empty()


def test_crashing_call_fails_without_raising(start: Start, provider: ScriptedProvider) -> None:
    provider.script = [ValueError("a bug")]
    request, call = start(max_retries=0)
    call.run()
    stored = row(request)
    assert (stored.status, stored.error_code) == (Status.FAILED, "INTERNAL_ERROR")
    assert Attempt.objects.get().state == "estimated"


def expire(request: AIRequest) -> None:
    AIRequest.objects.filter(id=request.id).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_lost_direct_call_without_idempotency_key_fails_and_books_its_bound(start: Start) -> None:
    request, _ = start()
    expire(request)
    recover_expired_leases()
    stored, attempt = row(request), Attempt.objects.get()
    assert (stored.status, stored.error_code) == (Status.FAILED, "CALLER_LOST")
    assert (attempt.state, attempt.error_code) == ("estimated", "WORKER_LOST")
    assert LedgerEntry.objects.get().nano == attempt.bound_nano > 0
    assert index_is_empty()


def test_lost_direct_call_with_idempotency_key_is_retried_by_the_queue(
    start: Start, provider: ScriptedProvider
) -> None:
    request, _ = start(idempotency_key="once")
    expire(request)
    recover_expired_leases()
    stored = row(request)
    assert (stored.status, stored.attempt_number) == (Status.PENDING, 2)
    assert claim_next("worker") is not None


def test_worker_lost_after_a_direct_call_is_recovered(start: Start, provider: ScriptedProvider) -> None:
    provider.script = [refusal("CONFLICT")]
    request, call = start()
    call.run()
    AIRequest.objects.filter(id=request.id).update(not_before=timezone.now())
    index.remove(row(request))
    index.admit([row(request)])
    assert claim_next("worker") is not None
    expire(request)
    recover_expired_leases()
    assert row(request).status == Status.PENDING


def test_late_answer_of_lost_direct_call_is_dropped_and_its_cost_booked(
    start: Start, provider: ScriptedProvider
) -> None:
    request, call = start()
    expire(request)
    recover_expired_leases()
    call.run()
    assert row(request).status == Status.FAILED
    attempt = Attempt.objects.get()
    assert attempt.state == "settled"
    assert sum(entry.nano for entry in LedgerEntry.objects.all()) == attempt.cost_nano < attempt.bound_nano


def test_index_repair_ignores_direct_calls(start: Start, provider: ScriptedProvider) -> None:
    request, call = start()
    repair = IndexRepair()
    for _ in range(3):
        repair.run()
    assert row(request).status == Status.PROCESSING
    assert redis_client().zcard("{aiq}:claims") == 1
    assert call.run().status == Status.COMPLETED
    assert index_is_empty()
