from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from cost_app.models import Attempt
from queue_app import scheduler
from queue_app.models import AIRequest, QueueMinute, QueueTotal, RequestContent, Status
from queue_app.repair import retention as cleanup_module
from queue_app.repair.retention import cleanup
from queue_app.stats.outcome_counts import count_ended
from tests.queue_app.conftest import refusal

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("scoped")


def end(request: AIRequest, days_ago: float) -> AIRequest:
    with system_scope():
        AIRequest.objects.filter(id=request.id).update(
            status=Status.COMPLETED, completed_at=timezone.now() - timedelta(days=days_ago)
        )
    return request


def kept() -> set[object]:
    return set(AIRequest.objects.values_list("id", flat=True))


def test_contents_are_deleted_after_a_week_and_requests_after_a_month(submit: Submit) -> None:
    young, middle, _old = end(submit(), 6.9), end(submit(), 7.1), end(submit(), 30.1)
    assert cleanup() == 1
    assert kept() == {young.id, middle.id}
    assert set(RequestContent.objects.values_list("request_id", flat=True)) == {young.id}
    assert Attempt.objects.count() == 3


def test_live_requests_are_never_deleted(submit: Submit) -> None:
    request = submit()
    AIRequest.objects.update(created_at=timezone.now() - timedelta(days=999))
    assert cleanup() == 0
    assert kept() == {request.id}
    assert RequestContent.objects.exists()


def test_cleanup_runs_in_batches_and_counts_requests(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup_module, "BATCH", 2)
    for _ in range(5):
        end(submit(), 31)
    assert cleanup() == 5
    assert cleanup() == 0
    assert not RequestContent.objects.exists()


def test_totals_are_kept_after_requests_and_minutes_are_deleted(submit: Submit) -> None:
    end(submit(), 31)
    count_ended()
    cleanup()
    assert not QueueMinute.objects.exists()
    assert QueueTotal.objects.get().completed == 1


def test_unsent_attempts_are_deleted_with_their_request(submit: Submit) -> None:
    cost = create_cost_optimizer()
    unsent, sent = end(submit(), 31), end(submit(), 31)
    cost.withdraw(unsent.id, 1, "CIRCUIT_OPEN")
    attempt = cost.current_attempt(sent.id, 1)
    assert cost.dispatch(attempt, timedelta(minutes=1))
    cost.book_failure(attempt, refusal("RATE_LIMITED"))
    assert cleanup() == 2
    assert [each.request_id for each in Attempt.objects.all()] == [sent.id]
    assert list(cost.disagreements()) == []


def test_cleanup_affects_one_organization(submit: Submit, other_organization: Organization) -> None:
    other = end(submit(organization_id=other_organization.pk), 31)
    assert cleanup() == 0
    with system_scope():
        assert kept() == {other.id}
    scheduler.clean_up_everywhere()
    with system_scope():
        assert kept() == set()


def test_an_idempotency_key_is_free_after_its_request_is_deleted(submit: Submit) -> None:
    first = end(submit(idempotency_key="k"), 31)
    cleanup()
    assert submit(idempotency_key="k").id != first.id
