"""Operator actions: cancel in every state and race, retry, pause, and resume."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import AuditEvent, Organization
from cost_app.ledger import attempts
from cost_app.models import Attempt, LedgerEntry
from queue_app import control
from queue_app.control import ContentGoneError, WrongStatusError
from queue_app.models import AIRequest, Priority, QueuePolicy, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]
Claimed = Callable[..., Claim]
pytestmark = pytest.mark.usefixtures("scoped")


def row() -> AIRequest:
    return AIRequest.objects.get()


def cancel() -> None:
    control.cancel(row(), actor="user:ann")


def states() -> list[str]:
    return list(Attempt.objects.order_by("number").values_list("state", flat=True))


def test_a_pending_request_is_cancelled_immediately(submit: Submit) -> None:
    request = submit()
    cancel()
    assert (row().status, states(), index.state().size, claim_next("w")) == (Status.CANCELLED, ["released"], 0, None)
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor, event.target) == ("request.cancelled", "user:ann", str(request.id))


def test_a_claimed_request_is_never_sent_after_its_cancellation(claimed: Claimed, provider: ScriptedProvider) -> None:
    claim = claimed()
    cancel()
    process(claim)
    assert provider.calls == []
    assert (row().status, states(), index.state().size) == (Status.CANCELLED, ["released"], 0)


def test_an_answer_after_cancellation_is_booked_and_dropped(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [lambda _attempt: (cancel(), answer())[1]]
    process(claimed())
    assert (row().status, states(), index.state().size) == (Status.CANCELLED, ["settled"], 0)
    assert LedgerEntry.objects.get().nano > 0
    assert RequestContent.objects.get().response is None


def test_a_failure_after_cancellation_is_not_retried(
    claimed: Claimed, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_attempt: object) -> object:
        cancel()
        raise refusal("SERVER_ERROR")

    provider.script = [fail]  # type: ignore[list-item]
    process(claimed())
    assert (row().status, row().error_code, states()) == (Status.CANCELLED, "", ["released"])
    assert "outcome cannot be booked" not in caplog.text


def test_a_request_waiting_for_a_retry_can_be_cancelled(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [refusal("RATE_LIMITED", retry_after_s=60)]
    process(claimed())
    cancel()
    assert (row().status, states(), index.state().size) == (Status.CANCELLED, ["released", "released"], 0)


def test_cancelling_works_without_redis(submit: Submit, settings: Settings, redis_url: str) -> None:
    submit()
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    cancel()
    settings.REDIS_URL = redis_url
    assert row().status == Status.CANCELLED
    assert claim_next("worker") is None
    assert index.state().size == 0


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_an_ended_request_cannot_be_cancelled(submit: Submit, status: Status) -> None:
    submit()
    AIRequest.objects.update(status=status, completed_at=timezone.now())
    with pytest.raises(WrongStatusError):
        cancel()
    assert (row().status, states(), AuditEvent.objects.exists()) == (status, ["reserved"], False)


@pytest.mark.parametrize("code", ["INVALID_REQUEST", None])
def test_a_manual_retry_restores_all_retries(claimed: Claimed, provider: ScriptedProvider, code: str | None) -> None:
    claim = claimed(max_retries=1)
    if code:
        provider.script = [refusal(code)]
        process(claim)
    else:
        cancel()
        process(claim)
    control.retry(row(), actor="user:ann")
    assert (row().status, row().completed_at, row().error_code) == (Status.PENDING, None, "")
    provider.script = [refusal("SERVER_ERROR")]
    again = claim_next("worker")
    assert again and again.attempt_number == 2
    process(again)
    assert row().status == Status.PENDING
    assert AuditEvent.objects.filter(verb="request.retried").exists()


def test_a_retry_during_the_cancelled_call_is_kept_separate(claimed: Claimed, provider: ScriptedProvider) -> None:
    old = claimed()
    attempt = attempts.current_attempt(old.request.id, 1)
    attempts.dispatch(attempt, old.timeout)
    cancel()
    control.retry(row(), actor="user:ann")
    new = claim_next("worker")
    assert new
    assert outcomes.complete(old, attempt, answer("old")) is False
    assert row().status == Status.PROCESSING
    process(new)
    assert (row().status, states()) == (Status.COMPLETED, ["settled", "settled"])


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING, Status.COMPLETED])
def test_only_failed_and_cancelled_requests_can_be_retried(submit: Submit, status: Status) -> None:
    submit()
    ended = timezone.now() if status == Status.COMPLETED else None
    AIRequest.objects.update(status=status, completed_at=ended)
    with pytest.raises(WrongStatusError):
        control.retry(row(), actor="user:ann")
    assert (row().attempt_number, states()) == (1, ["reserved"])


def test_a_request_without_its_prompt_cannot_be_retried(submit: Submit) -> None:
    submit()
    cancel()
    RequestContent.objects.all().delete()
    with pytest.raises(ContentGoneError):
        control.retry(row(), actor="user:ann")
    assert row().status == Status.CANCELLED


def test_a_paused_priority_waits_until_resumed(submit: Submit, organization: Organization) -> None:
    submit(priority=Priority.LOW)
    assert control.pause(organization.pk, Priority.LOW, actor="user:ann") == [10]
    assert control.pause(organization.pk, Priority.HIGH, actor="user:ann") == [10, 500]
    assert claim_next("worker") is None
    assert control.resume(organization.pk, Priority.LOW, actor="user:ann") == [500]
    assert claim_next("worker")
    changes = AuditEvent.objects.get(verb="queue.resumed").changes
    assert changes == {"paused": [[10, 500], [500]]}


def test_pausing_all_and_resuming_all(submit: Submit, organization: Organization) -> None:
    submit()
    assert control.pause(organization.pk, None, actor="user:ann") == sorted(Priority.values)
    assert claim_next("worker") is None
    assert control.resume(organization.pk, None, actor="user:ann") == []
    assert QueuePolicy.objects.get().paused_priorities == []
    assert claim_next("worker")


def test_a_pause_applies_to_one_organization(
    submit: Submit, organization: Organization, other_organization: Organization
) -> None:
    control.pause(organization.pk, None, actor="user:ann")
    request = submit(organization_id=other_organization.pk)
    claim = claim_next("worker")
    assert claim and claim.request.id == request.id


def test_running_requests_continue_during_a_pause(
    claimed: Claimed, provider: ScriptedProvider, organization: Organization
) -> None:
    claim = claimed()
    control.pause(organization.pk, None, actor="user:ann")
    process(claim)
    assert row().status == Status.COMPLETED
