from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from queue_app.models import DIRECT, AIRequest, Status
from queue_app.ordering import claims, index
from queue_app.ordering.claims import Claim, claim_next
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("queue")


def row() -> AIRequest:
    with system_scope():
        return AIRequest.objects.get()


def in_flight() -> dict[str, str]:
    return redis_client().hgetall(index.PREFIX + "inflight")


def test_a_claim_marks_the_row_as_processing(submit: Submit) -> None:
    request = submit(timeout_ms=5_000)
    claim = claim_next("worker-1")
    assert claim and (claim.request.id, claim.attempt_number) == (request.id, 1)
    assert claim.call["messages"] == [{"role": "user", "content": "Hi"}]
    assert claim.timeout == timedelta(seconds=5)
    claimed = row()
    assert (claimed.status, claimed.worker) == (Status.PROCESSING, "worker-1")
    assert claimed.started_at and claimed.lease_until and claimed.lease_until > timezone.now()


def test_an_empty_queue_gives_no_claim() -> None:
    assert claim_next("worker") is None


def test_requests_of_all_organizations_are_claimed(submit: Submit, other_organization: Organization) -> None:
    submit()
    submit(organization_id=other_organization.pk)
    owners = {claim.request.organization_id for claim in (claim_next("w"), claim_next("w")) if claim}
    assert len(owners) == 2


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.PROCESSING, Status.COMPLETED])
def test_a_stale_index_entry_is_skipped(submit: Submit, status: Status) -> None:
    ended = None if status == Status.PROCESSING else timezone.now()
    stale, good = submit(), submit()
    with system_scope():
        AIRequest.objects.filter(id=stale.id).update(status=status, completed_at=ended)
    claim = claim_next("worker")
    assert claim and claim.request.id == good.id
    assert in_flight() == {str(good.organization_id): "1"}


def test_a_second_claim_keeps_the_time_of_the_first_start(claimed: Callable[..., Claim]) -> None:
    first = claimed()
    with system_scope():
        AIRequest.objects.update(status=Status.PENDING)
        started_at = row().started_at
    index.release([first.entry])
    index.admit([row()])
    assert claim_next("worker")
    assert row().started_at == started_at


def test_a_claim_without_redis_raises(submit: Submit, settings: Settings) -> None:
    submit()
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    with pytest.raises(RedisError):
        claim_next("worker")
    assert row().status == Status.PENDING


def test_a_release_without_redis_does_not_raise(claimed: Callable[..., Claim], settings: Settings) -> None:
    claim = claimed()
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    claims.release(claim.entry)


def test_a_callers_claim_lasts_for_the_timeout_plus_a_lease(claimed: Callable[..., Claim], settings: Settings) -> None:
    claim, before = claimed(timeout_ms=60_000), timezone.now()
    with system_scope():
        claims.hold_for_caller(claim)
    lease_until = row().lease_until
    assert lease_until and lease_until > before + timedelta(seconds=60 + settings.QUEUE_LEASE_S - 5)


def test_a_caller_cannot_hold_a_lost_or_cancelled_request(claimed: Callable[..., Claim]) -> None:
    claim, past = claimed(), timezone.now() - timedelta(seconds=1)
    next_attempt = {"attempt_number": 2, "lease_until": past}
    cancelled = {"attempt_number": 1, "status": Status.CANCELLED, "completed_at": past, "lease_until": None}
    given_back = {"attempt_number": 1, "status": Status.PENDING, "completed_at": None, "lease_until": None}
    for columns in (next_attempt, cancelled, given_back):
        with system_scope():
            AIRequest.objects.update(**columns)
            claims.hold_for_caller(claim)
        assert row().lease_until == columns["lease_until"]


def test_renewing_only_extends_the_current_attempt(claimed: Callable[..., Claim]) -> None:
    claim = claimed()
    past = timezone.now() - timedelta(seconds=1)
    for held, is_renewed in [([(claim.request.id, 2)], False), ([], False), ([(claim.request.id, 1)], True)]:
        with system_scope():
            AIRequest.objects.update(lease_until=past)
        claims.renew(held)
        assert (row().lease_until > past) is is_renewed


def test_renewing_does_not_revive_a_cancelled_request(claimed: Callable[..., Claim]) -> None:
    claim = claimed()
    with system_scope():
        AIRequest.objects.update(status=Status.CANCELLED, completed_at=timezone.now(), lease_until=None)
    claims.renew([(claim.request.id, 1)])
    assert row().lease_until is None


@pytest.mark.parametrize(("worker", "lane"), [(DIRECT + "web", "direct"), ("worker-1", "worker")])
def test_a_claim_is_counted_by_organization_and_lane_after_the_commit(
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
    worker: str,
    lane: str,
) -> None:
    counted: list[tuple[int, str]] = []
    monkeypatch.setattr(claims.recorded, "claimed", lambda *labels: counted.append(labels))
    request = submit()
    with organization_scope(request.organization_id), django_capture_on_commit_callbacks(execute=True):
        assert claims.take(request, worker) is True
        assert counted == []
        assert claims.take(request, "another") is False
    assert counted == [(request.organization_id, lane)]
    assert (row().worker, request.worker, request.status) == (worker, worker, Status.PROCESSING)


@pytest.mark.parametrize("moved", [{"attempt_number": 2}, {"status": Status.PROCESSING}])
def test_a_request_that_changed_since_it_was_read_is_not_taken(submit: Submit, moved: dict[str, object]) -> None:
    request = submit()
    with organization_scope(request.organization_id):
        AIRequest.objects.update(**moved)
        assert claims.take(request, "worker") is False
    assert row().worker == ""


def test_a_lease_lasts_for_the_configured_time(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    assert claims.lease_end() == moment + timedelta(seconds=settings.QUEUE_LEASE_S)
    assert claims.lease_end(timedelta(seconds=5)) == moment + timedelta(seconds=settings.QUEUE_LEASE_S + 5)
