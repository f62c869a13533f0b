"""`POST /api/ai/chat` with `wait` and without a worker: the process that accepts the call makes it."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from aiinfra.gateway.lane import leases as leases_module
from aiinfra.gateway.lane.leases import Leases
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Attempt, LedgerEntry
from queue_app.control import pause, resume
from queue_app.models import AIRequest, QueuePolicy, Status
from queue_app.ordering import index
from queue_app.processing import in_flight, provider_call
from tests.api.support import CHAT, MESSAGES, QUEUE, Caller, enqueue_body, refused
from tests.gateway.conftest import has_exactly_free_slots
from tests.gateway.test_chat_waits import ask, start_in_thread, the_request
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


def held_attempt(sandbox: SandboxClient) -> Attempt:
    """The attempt whose call is held by the sandbox."""

    def is_running() -> bool:
        with system_scope():
            attempt = Attempt.objects.first()
        return attempt is not None and sandbox.get(f"/sandbox/calls/{attempt.id}")["state"] == "running"

    wait_until(is_running, "the call to arrive")
    with system_scope():
        return Attempt.objects.get()


def test_direct_call_is_answered_without_a_worker_and_leaves_nothing_behind(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom
) -> None:
    index.mark_complete()
    response = ask(program)
    assert response.status_code == 200, response.content
    answer = json.loads(response.content)
    assert answer["response"]["content"]
    with system_scope():
        entry = LedgerEntry.objects.get()
    assert (str(entry.request_id), f"{entry.nano / 1e9:.9f}".rstrip("0")) == (answer["requestId"], answer["cost"])
    assert len(sandbox.bills(entry.attempt_id)) == 1
    assert redis_client().zcard("{aiq}:claims") == 0
    assert in_flight.running_count() == 0
    assert has_exactly_free_slots(room, 2)


def test_direct_call_needs_no_room_in_a_full_queue(
    program: Caller, organization: Organization, sandbox: SandboxClient, room: WaitingRoom
) -> None:
    index.mark_complete()
    with organization_scope(organization.pk):
        index.set_policy(QueuePolicy.objects.create(organization=organization, depth_limit=1))
    assert program.post(QUEUE, enqueue_body(priority="low")).status_code == 202
    refused(program.post(QUEUE, enqueue_body(priority="low")), 429)
    response = ask(program)
    assert response.status_code == 200, response.content
    refused(ask(program, messages=[{"role": "user", "content": "And what waits?"}], priority="low"), 429)


def test_identical_question_is_answered_from_the_cache(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom
) -> None:
    first, second = ask(program), ask(program)
    assert [json.loads(each.content)["cached"] for each in (first, second)] == [False, True]
    with system_scope():
        assert Attempt.objects.count() == 1


def test_failure_retried_by_a_worker_is_answered_on_the_same_connection(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Callable[[], None], settings: Settings
) -> None:
    settings.RETRY_BASE_S = 0.01
    sandbox.behave(faults=[{"kind": "status", "status": 503, "times": 1}]).raise_for_status()
    worker()
    response = ask(program)
    assert response.status_code == 200, response.content
    assert the_request().attempt_number == 2


def test_permanent_failure_returns_502(program: Caller, sandbox: SandboxClient, room: WaitingRoom) -> None:
    sandbox.behave(faults=[{"kind": "status", "status": 400}]).raise_for_status()
    assert "INVALID_REQUEST" in refused(ask(program), 502)["message"]
    assert has_exactly_free_slots(room, 2)


def test_call_of_a_paused_priority_waits_for_its_turn(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Callable[[], None], organization: Organization
) -> None:
    index.mark_complete()
    with system_scope():
        pause(organization.pk, None, actor="test")
    answer = start_in_thread(lambda: ask(program, cache="bypass"))
    wait_until(_is_pending, "the request")
    worker()
    with system_scope():
        resume(organization.pk, None, actor="test")
    assert answer().status_code == 200


def _is_pending() -> bool:
    with system_scope():
        return AIRequest.objects.filter(status=Status.PENDING).exists()


def test_lease_is_renewed_and_no_connection_is_held_during_the_call(
    program: Caller,
    sandbox: SandboxClient,
    room: WaitingRoom,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.QUEUE_LEASE_S = 1.0
    open_connections: list[bool] = []
    original = provider_call._ask

    def ask_and_look(*arguments: object) -> object:
        open_connections.append(any(each.connection for each in connections.all(initialized_only=True)))
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(provider_call, "_ask", ask_and_look)
    sandbox.behave(faults=[{"kind": "hold"}])
    answer = start_in_thread(lambda: ask(program))
    attempt = held_attempt(sandbox)
    first = the_request().lease_until
    assert first is not None
    wait_until(lambda: (the_request().lease_until or first) > first, "the lease to be renewed")
    sandbox.post(f"/sandbox/calls/{attempt.id}/release", {})
    assert answer().status_code == 200
    assert open_connections == [False]


def test_lease_renewal_thread_ends_with_the_last_call_and_survives_errors(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.QUEUE_LEASE_S = 0.03
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ValueError("a bug")

    monkeypatch.setattr(leases_module, "renew_leases", fail)
    mine = Leases()
    with mine.kept():
        wait_until(lambda: len(calls) > 1, "two renewals")
        with mine.kept():
            assert mine._renewer is not None
    wait_until(lambda: mine._renewer is None, "the thread to end")


def test_repeated_idempotency_key_returns_the_first_answer(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom
) -> None:
    key, body = str(uuid4()), {"messages": MESSAGES, "wait": True, "cache": "bypass"}
    first, second = (program.post(CHAT, body, **{"Idempotency-Key": key}) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert json.loads(first.content)["requestId"] == json.loads(second.content)["requestId"]
    with system_scope():
        assert Attempt.objects.count() == 1


def test_cancelled_call_books_its_cost(program: Caller, sandbox: SandboxClient, room: WaitingRoom) -> None:
    sandbox.behave(faults=[{"kind": "hold"}])
    answer = start_in_thread(lambda: ask(program))
    attempt = held_attempt(sandbox)
    program.post("/api/ai/queue", {"action": "cancel", "requestId": str(attempt.request_id)})
    sandbox.post(f"/sandbox/calls/{attempt.id}/release", {})
    assert refused(answer(), 409)["type"] == "cancelled"
    with system_scope():
        assert Attempt.objects.get().state == "settled"
    assert has_exactly_free_slots(room, 2)
