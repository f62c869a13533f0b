"""`POST /api/ai/chat` with `wait`, queued: answered on the same connection by a real worker and provider process."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.gateway import chat, ended_rows, waiting
from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.gateway.ended_rows import EndedRows
from aiinfra.gateway.feed import Listener, feed
from aiinfra.gateway.waiting import TooManyWaitingError, Visit, WaitingRoom
from aiinfra.live_events import CHANNEL
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import LedgerEntry
from queue_app import control, events
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.processing import in_flight
from tests.api.support import CHAT, MESSAGES, Caller, refused
from tests.gateway.conftest import has_exactly_free_slots
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]

Begin = Callable[[], None]


def ask(program: Caller, **body: Any) -> HttpResponse:
    return program.post(CHAT, {"messages": MESSAGES, "wait": True, **body})


def start_in_thread(call: Callable[[], HttpResponse]) -> Callable[[], HttpResponse]:
    """Starts the call. The returned function waits for its answer."""
    answers: list[HttpResponse] = []

    def run() -> None:
        answers.append(call())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()

    def answer() -> HttpResponse:
        thread.join()
        return answers[0]

    return answer


def the_request() -> AIRequest:
    with system_scope():
        return AIRequest.objects.get()


@pytest.mark.parametrize("who", ["program", "browser"])
def test_answer_arrives_on_the_same_connection(
    request: pytest.FixtureRequest, who: str, sandbox: SandboxClient, room: WaitingRoom, worker: Begin
) -> None:
    caller = request.getfixturevalue(who)
    worker()
    response = ask(caller)
    assert response.status_code == 200, response.content
    answer = json.loads(response.content)
    assert answer["cached"] is False
    assert answer["response"]["role"] == "assistant"
    assert answer["response"]["content"]
    assert answer["response"]["finishReason"] == "stop"
    assert answer["usage"]["totalTokens"] == answer["usage"]["promptTokens"] + answer["usage"]["completionTokens"] > 0
    with system_scope():
        entry = LedgerEntry.objects.get()
    assert (str(entry.request_id), f"{entry.nano / 1e9:.9f}".rstrip("0")) == (answer["requestId"], answer["cost"])
    assert len(sandbox.bills(entry.attempt_id)) == 1
    assert has_exactly_free_slots(room, 2)


def test_more_clients_than_slots_are_served_in_turn(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Begin
) -> None:
    worker()
    assert [ask(program).status_code for _ in range(5)] == [200] * 5
    assert has_exactly_free_slots(room, 2)


def test_failed_request_returns_502(program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Begin) -> None:
    sandbox.behave(faults=[{"kind": "status", "status": 400}]).raise_for_status()
    worker()
    error = refused(ask(program, maxRetries=0), 502)
    assert error["type"] == "provider_error"
    assert "INVALID_REQUEST" in error["message"]
    assert has_exactly_free_slots(room, 2)


def test_timed_out_wait_returns_202(program: Caller, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "WAIT_MARGIN_S", -0.9)
    response = ask(program, timeout=1_000)
    assert response.status_code == 202
    assert json.loads(response.content)["requestId"] == str(the_request().id)
    assert has_exactly_free_slots(room, 2)


def test_client_without_a_slot_is_refused_before_its_request_is_stored(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Begin
) -> None:
    waiters = [start_in_thread(lambda: ask(program)) for _ in range(2)]
    wait_until(lambda: feed.count() == 2, "two clients to wait")
    response = ask(program)
    assert refused(response, 429)["type"] == "too_many_waiting"
    assert 0 < int(response["Retry-After"]) <= 120
    with system_scope():
        assert AIRequest.objects.count() == 2
    assert ask(program, wait=False).status_code == 202
    worker()
    assert [answer().status_code for answer in waiters] == [200, 200]
    assert ask(program).status_code == 200
    assert has_exactly_free_slots(room, 2)


def test_cache_hits_are_served_while_the_waiting_room_is_full(
    program: Caller, organization: Organization, sandbox: SandboxClient, room: WaitingRoom, worker: Begin
) -> None:
    worker()
    assert ask(program).status_code == 200
    wait_until(lambda: not in_flight.running_count(), "the answer to be in the cache")
    for _ in range(2):
        room._slots.take(organization.pk)
    response = ask(program)
    assert (response.status_code, json.loads(response.content)["cached"]) == (200, True)
    assert refused(ask(program, cache="bypass"), 429)["type"] == "too_many_waiting"


def test_request_is_queued_when_there_are_no_slots(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(0))
    assert ask(program).status_code == 202


def test_request_cancelled_during_the_wait_returns_409(
    program: Caller, room: WaitingRoom, organization: Organization
) -> None:
    answer = start_in_thread(lambda: ask(program))
    wait_until(feed.count, "the client to wait")
    with organization_scope(organization.pk):
        control.cancel(the_request(), actor="test")
    assert refused(answer(), 409)["type"] == "cancelled"
    assert has_exactly_free_slots(room, 2)


def test_lost_event_does_not_lose_the_answer(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "publish_changes", lambda *_: None)
    monkeypatch.setattr(ended_rows, "POLL_EVERY_S", 0.05)
    worker()
    assert ask(program).status_code == 200


def test_polling_thread_survives_errors(room: WaitingRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[int] = []

    def fail(_: EndedRows) -> None:
        polls.append(1)
        raise ValueError("a bug")

    monkeypatch.setattr(ended_rows, "POLL_EVERY_S", 0.01)
    monkeypatch.setattr(EndedRows, "_query_rows", fail)
    mine = EndedRows()
    with mine.watched(uuid4(), Listener(1, lambda _: True)):
        wait_until(lambda: len(polls) > 1, "two polls")
    wait_until(lambda: mine._poller is None, "the thread to end")


def test_event_alone_wakes_the_client(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polling is disabled, so only the event can wake the client."""
    monkeypatch.setattr(EndedRows, "_query_rows", lambda _: None)
    answer = start_in_thread(lambda: ask(program))
    wait_until(feed.count, "the client to wait")
    wait_until(lambda: _subscribers() == 1, "the subscription")
    worker()
    assert answer().status_code == 200


def _subscribers() -> int:
    return int(redis_client().pubsub_numsub(CHANNEL)[0][1])


def test_waiting_clients_are_answered_without_redis(
    program: Caller, room: WaitingRoom, organization: Organization, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = start_in_thread(lambda: ask(program))
    wait_until(feed.count, "the client to wait")
    with organization_scope(organization.pk):
        AIRequest.objects.update(status=Status.FAILED, completed_at=timezone.now(), error_code="TIMEOUT")
    refused(answer(), 502)
    assert has_exactly_free_slots(room, 2)


def test_many_concurrent_clients_are_all_answered(
    program: Caller, sandbox: SandboxClient, worker: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = WaitingRoom(8)
    monkeypatch.setattr(chat, "waiting_room", room)
    worker()

    def one(number: int) -> tuple[int, bool]:
        caller = Caller()
        caller.headers = program.headers
        response = caller.post(CHAT, {"messages": [{"role": "user", "content": f"Say {number}."}], "wait": True})
        connection.close()
        return response.status_code, b'"response"' in response.content

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(12))) == [(200, True)] * 12
    assert has_exactly_free_slots(room, 8)


def test_repeat_of_an_answered_request_is_answered_immediately(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Begin
) -> None:
    worker()
    key = {"Idempotency-Key": "k-1"}
    body = {"messages": MESSAGES, "wait": True}
    first = program.post(CHAT, body, **key)
    assert first.status_code == 200
    assert json.loads(program.post(CHAT, body, **key).content) == json.loads(first.content)
    with system_scope():
        assert AIRequest.objects.count() == 1
        RequestContent.objects.all().delete()
    assert refused(program.post(CHAT, body, **key), 409)["type"] == "content_gone"


# The waiting room alone


def test_slot_is_always_released(room: WaitingRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("broken")

    monkeypatch.setattr(Visit, "_wait_until_ended", fail)
    for _ in range(5):
        with pytest.raises(RuntimeError), room.visit(1, ClientSocket({})) as visit:
            visit.wait(uuid4(), 1)
    assert has_exactly_free_slots(room, 2)


def test_full_waiting_room_raises() -> None:
    with pytest.raises(TooManyWaitingError), WaitingRoom(0).visit(1, ClientSocket({})) as visit:
        visit.wait(uuid4(), 1)


def test_one_organization_gets_at_most_three_quarters_of_the_slots() -> None:
    room = WaitingRoom(4)
    with ExitStack() as visits:
        for _ in range(3):
            visits.enter_context(room.visit(1, ClientSocket({}))).take_slot()
        with pytest.raises(TooManyWaitingError):
            visits.enter_context(room.visit(1, ClientSocket({}))).take_slot()
        visits.enter_context(room.visit(2, ClientSocket({}))).take_slot()
    assert has_exactly_free_slots(room, 4)


def test_disconnected_client_releases_its_slot(
    room: WaitingRoom, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL_EVERY_S", 0.01)
    client = ClientSocket({})
    monkeypatch.setattr(client, "is_gone", lambda: True)
    with organization_scope(organization.pk), room.visit(organization.pk, client) as visit:
        assert visit.wait(uuid4(), 3_600) is False
    assert has_exactly_free_slots(room, 2)


def test_waiting_clients_share_one_subscription(program: Caller, room: WaitingRoom) -> None:
    waiters = [start_in_thread(lambda: ask(program)) for _ in range(2)]
    wait_until(lambda: feed.count() == 2, "two clients to wait")
    wait_until(lambda: _subscribers() == 1, "the subscription")
    with system_scope():
        AIRequest.objects.update(status=Status.CANCELLED, completed_at=timezone.now())
        for request in AIRequest.objects.all():
            events.publish_changes(request)
    assert [answer().status_code for answer in waiters] == [409, 409]
    wait_until(lambda: _subscribers() == 0, "the end of the subscription")


def test_reader_restarts_for_the_next_client(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Begin
) -> None:
    worker()
    for _ in range(2):
        assert ask(program).status_code == 200
        wait_until(lambda: feed._reader is None, "the end of the reader")
