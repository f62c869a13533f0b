"""Injects each way in which Redis and the rows can disagree; one or two runs repair it."""

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from cost_app.models import Attempt, AttemptState
from queue_app import control
from queue_app.models import AIRequest, Priority, QueuePolicy, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next
from queue_app.ordering.index import IndexEntry
from queue_app.processing import heartbeat
from queue_app.repair import index_repair
from queue_app.repair.index_repair import IndexRepair
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("scoped")


def in_flight() -> dict[str, str]:
    return redis_client().hgetall(index.PREFIX + "inflight")


def repair_after_first_run() -> IndexRepair:
    """An instance that has already run. Its next runs only compare counts, as most do."""
    repair = IndexRepair()
    repair.run()
    return repair


def age_claims() -> None:
    for entry in redis_client().zrange(index.PREFIX + "claims", 0, -1):
        redis_client().zadd(index.PREFIX + "claims", {entry: 1})


def test_the_oldest_requests_enter_a_rebuilt_index_first(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [submit() for _ in range(3)]
    for age, request in enumerate(requests, start=1):
        AIRequest.objects.filter(id=request.id).update(created_at=timezone.now() - timedelta(minutes=age))
    entered: list[AIRequest] = []
    monkeypatch.setattr(index, "admit", entered.extend)
    index_repair.rebuild_index()
    assert [each.id for each in entered] == [each.id for each in reversed(requests)]


@pytest.mark.usefixtures("redis_url")
def test_a_new_installation_logs_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        repair_after_first_run().run()
    assert [record.message for record in caplog.records if record.name == index_repair.__name__] == []
    assert index.state().is_complete


def test_an_emptied_redis_is_logged_if_requests_are_missing(submit: Submit, caplog: pytest.LogCaptureFixture) -> None:
    submit()
    redis_client().flushall()
    with caplog.at_level(logging.INFO):
        repair_after_first_run()
    messages = [record.message for record in caplog.records if record.name == index_repair.__name__]
    assert messages == ["Redis does not have every request; adding all of them"]


def test_a_row_missing_twice_is_added(submit: Submit) -> None:
    request, repair = submit(), repair_after_first_run()
    index.remove(request)
    repair.run()
    assert index.state().size == 0
    repair.run()
    assert index.claim() == IndexEntry.of(request)


def test_a_row_hidden_by_a_stale_entry_is_added(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    control.pause(Organization.objects.get().pk, Priority.LOW, actor="user:x")
    cancelled, missing, repair = submit(priority=Priority.LOW), submit(), repair_after_first_run()
    with monkeypatch.context() as patched:
        patched.setattr(index, "remove", lambda _request: None)
        control.cancel(cancelled, actor="user:x")
    index.remove(missing)
    for _ in range(index_repair.ENTER_ALL_EVERY):
        repair.run()
    assert index.claim() == IndexEntry.of(missing)


def test_an_entry_without_a_row_is_dropped_by_the_claim(submit: Submit, organization: Organization) -> None:
    ghost = AIRequest(id=uuid4(), organization_id=organization.pk, created_at=timezone.now() - timedelta(days=1))
    index.admit([ghost])
    request = submit()
    claim = claim_next("worker")
    assert claim and claim.request.id == request.id
    assert in_flight() == {str(organization.pk): "1"}


def test_an_orphaned_claim_is_dropped_and_frees_its_organizations_slot(
    submit: Submit, organization: Organization
) -> None:
    QueuePolicy.objects.create(organization=organization, max_in_flight=1)
    index.hold([IndexEntry(organization.pk, 100, uuid4())])
    request, repair = submit(), repair_after_first_run()
    assert index.claim() is None
    age_claims()
    repair.run()
    assert index.claim() == IndexEntry.of(request)


def test_an_entry_claimed_by_a_killed_process_returns(submit: Submit) -> None:
    request, repair = submit(), repair_after_first_run()
    assert index.claim() == IndexEntry.of(request)
    repair.run()
    assert index.claim() is None
    age_claims()
    repair.run()
    assert index.claim() == IndexEntry.of(request)


def test_a_wrong_in_flight_count_is_corrected(submit: Submit, organization: Organization) -> None:
    QueuePolicy.objects.create(organization=organization, max_in_flight=1)
    request, repair = submit(), repair_after_first_run()
    redis_client().hset(index.PREFIX + "inflight", str(organization.pk), "7")
    repair.run()
    assert index.claim() == IndexEntry.of(request)


def test_an_expired_lease_goes_to_another_worker(claimed: Callable[..., Claim]) -> None:
    lost = claimed()
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    IndexRepair().run()
    again = claim_next("another worker")
    assert again and (again.request.id, again.attempt_number) == (lost.request.id, 2)
    assert (again.request.crashes, in_flight()) == (1, {str(again.request.organization_id): "1"})
    assert list(Attempt.objects.order_by("number").values_list("state", flat=True)) == [
        AttemptState.RELEASED,
        AttemptState.RESERVED,
    ]


def test_the_oldest_expired_leases_are_taken_over_first(
    claimed: Callable[..., Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_repair, "BATCH", 1)
    lost = [claimed().request.id for _ in range(3)]
    for ago, request_id in zip((5, 9, 7), lost, strict=True):
        lease_until = timezone.now() - timedelta(seconds=ago)
        AIRequest.objects.filter(id=request_id).update(lease_until=lease_until)
    taken: list[object] = []
    for _ in lost:
        assert index_repair.recover_expired_leases() == 1
        taken += AIRequest.objects.filter(status=Status.PENDING).exclude(id__in=taken).values_list("id", flat=True)
    assert taken == [lost[1], lost[2], lost[0]]
    assert index_repair.recover_expired_leases() == 0


def test_a_valid_lease_is_unchanged(claimed: Callable[..., Claim]) -> None:
    claim = claimed()
    age_claims()
    IndexRepair().run()
    assert AIRequest.objects.get().status == Status.PROCESSING
    assert in_flight() == {str(claim.request.organization_id): "1"}


def test_a_running_requests_old_claim_keeps_its_slot(claimed: Callable[..., Claim]) -> None:
    claim, repair = claimed(), repair_after_first_run()
    age_claims()
    repair.run()
    assert in_flight() == {str(claim.request.organization_id): "1"}
    assert redis_client().zrange(index.PREFIX + "claims", 0, -1) == [str(claim.entry)]


def test_concurrent_repairs_take_a_lost_request_once(claimed: Callable[..., Claim]) -> None:
    lost = claimed()
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    from queue_app.processing import outcomes

    stale = AIRequest.objects.get()
    outcomes.recover(AIRequest.objects.get(), lost.call)
    outcomes.recover(stale, lost.call)
    assert AIRequest.objects.get().crashes == 1
    assert Attempt.objects.count() == 2


def test_one_run_rebuilds_an_emptied_redis(submit: Submit, organization: Organization) -> None:
    for number in range(6):
        submit(priority=Priority.values[number % 4])
    claim_next("worker")
    control.pause(organization.pk, Priority.CRITICAL, actor="user:x")
    delayed = submit()
    AIRequest.objects.filter(id=delayed.id).update(not_before=timezone.now() + timedelta(minutes=5))
    index.remove(delayed)
    index.admit(AIRequest.objects.filter(id=delayed.id))
    repair = repair_after_first_run()
    before, due = everything(), due_of_delayed()
    assert index.state().size == 7
    redis_client().flushall()
    repair.run()
    assert everything() == before
    assert due_of_delayed() == pytest.approx(due, abs=60)


def due_of_delayed() -> float:
    """When the delayed request becomes due, in Redis's time."""
    ((_, due),) = redis_client().zrange("{aiq}:delayed", 0, -1, withscores=True)
    return float(due)


def everything() -> dict[str, object]:
    """The whole index except the times of claims, of delayed requests, and of each organization's last claim."""
    client, kept = redis_client(), {}
    for key in client.scan_iter(match="{aiq}:*"):
        match client.type(key):
            case "hash" if key.endswith(":served"):
                continue
            case "hash":
                kept[key] = {field: value for field, value in client.hgetall(key).items() if value != "0"}
            case "set":
                kept[key] = client.smembers(key)
            case "zset" if key.endswith((":claims", ":delayed")):
                kept[key] = client.zrange(key, 0, -1)
            case "zset":
                kept[key] = client.zrange(key, 0, -1, withscores=True)
    return kept


def test_one_run_restores_a_missing_pause(
    submit: Submit, organization: Organization, settings: Settings, redis_url: str
) -> None:
    submit()
    repair = repair_after_first_run()
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    control.pause(organization.pk, None, actor="user:x")
    settings.REDIS_URL = redis_url
    repair.run()
    assert index.claim() is None


def test_a_deleted_policy_no_longer_applies(submit: Submit, organization: Organization) -> None:
    request, repair = submit(), repair_after_first_run()
    control.pause(organization.pk, None, actor="user:x")
    QueuePolicy.objects.all().delete()
    repair.run()
    assert index.claim() == IndexEntry.of(request)


def test_only_changed_policies_are_written(
    organization: Organization, queue: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    QueuePolicy.objects.create(organization=organization, weight=3, max_in_flight=5, paused_priorities=[10])
    repair = repair_after_first_run()
    written: list[QueuePolicy] = []
    monkeypatch.setattr(index, "set_policy", written.append)
    repair.run()
    assert written == []


def test_leases_are_taken_over_without_redis(claimed: Callable[..., Claim], settings: Settings) -> None:
    claimed()
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    IndexRepair().run()
    assert AIRequest.objects.get().status == Status.PENDING


def test_silent_workers_are_removed(queue: None) -> None:
    expired_beat = (
        '{"name":"w","host":"h","pid":1,"slots":1,"busy":0,"stopping":false,"memory_bytes":1,"started_at":1,"at":1}'
    )
    redis_client().hset(heartbeat.WORKERS_KEY, "w", expired_beat)
    assert heartbeat.workers() == []
    IndexRepair().run()
    assert redis_client().hgetall(heartbeat.WORKERS_KEY) == {}


def test_the_index_of_an_earlier_release_is_dropped_and_rebuilt(submit: Submit, organization: Organization) -> None:
    request, running = submit(), submit()
    claim = claim_next("worker")
    assert claim is not None and claim.request.id == request.id
    client = redis_client()
    client.set(index.PREFIX + "complete", "1")
    client.zadd(f"{index.PREFIX}lane:{organization.pk}:100", {str(running.id): 1})
    client.zadd(index.PREFIX + "delayed", {f"{organization.pk}:100:{running.id}:1.5": 1})
    client.hset(index.PREFIX + "depth", "100", "7")
    IndexRepair().run()
    assert (index.ready_total(), index.state().size, index.state().is_complete) == (1, 2, True)
    assert not client.exists(f"{index.PREFIX}lane:{organization.pk}:100")
    assert index.claim() == IndexEntry.of(running)
    assert index.claim() is None
