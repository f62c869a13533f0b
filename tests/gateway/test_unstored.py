"""While the database rejects writes, waiting clients get a prompt error and their answer later, from a single call."""

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from aiinfra import full_disk
from aiinfra.gateway import ended_rows
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants.scope import system_scope
from cost_app.models import Attempt, LedgerEntry
from queue_app.models import AIRequest, Status
from queue_app.processing import in_flight, outcomes, provider_call
from tests.api.support import CHAT, COMPLETIONS, MESSAGES, Caller, refused
from tests.gateway.conftest import has_exactly_free_slots
from tests.gateway.test_chat_waits import the_request
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url", "no_lease")]

DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, {"messages": MESSAGES, "wait": True}),
    "whole": (COMPLETIONS, {"messages": MESSAGES, "model": "deepseek-chat"}),
    "stream": (COMPLETIONS, {"messages": MESSAGES, "model": "deepseek-chat", "stream": True}),
}
doors = pytest.mark.parametrize("door", DOORS)


@pytest.fixture
def no_lease(settings: Settings) -> None:
    """Waiting clients are answered without delay."""
    settings.QUEUE_LEASE_S = 0.0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No answer can be stored until the event is set."""
    has_room = threading.Event()
    complete = outcomes.complete

    def refuse(*arguments: Any) -> bool:
        if not has_room.is_set():
            raise OperationalError("database or disk is full")
        return complete(*arguments)

    monkeypatch.setattr(outcomes, "complete", refuse)
    monkeypatch.setattr(provider_call, "WRITE_PAUSE_S", 0.01)
    yield has_room
    has_room.set()
    wait_until(lambda: in_flight.running_count() == 0, "the kept outcomes to be stored")


def ask(program: Caller, door: str, **headers: str) -> HttpResponse:
    path, body = DOORS[door]
    return program.post(path, body, **headers)


def text_of(response: Any) -> str:
    """The whole body, streamed or not."""
    return b"".join(response).decode()


def has_completed() -> bool:
    return the_request().status == Status.COMPLETED


@doors
def test_answer_of_a_direct_call_is_fetched_with_its_idempotency_key(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, disk: threading.Event, door: str
) -> None:
    key = str(uuid4())
    refusal = ask(program, door, **{"Idempotency-Key": key})
    assert "Repeat the call with the same Idempotency-Key to fetch the answer." in text_of(refusal)
    if door != "stream":
        assert (refusal.status_code, refusal["Retry-After"]) == (503, "5")
        assert refusal["x-aiinfra-request-id"] == str(the_request().id)
    assert has_exactly_free_slots(room, 2)
    disk.set()
    wait_until(has_completed, "the answer to be stored")
    answer = ask(program, door, **{"Idempotency-Key": key})
    assert answer.status_code == 200
    assert "[DONE]" in text_of(answer) or door != "stream"
    with system_scope():
        (attempt,), (entry,) = Attempt.objects.all(), LedgerEntry.objects.all()
    assert entry.attempt_id == attempt.id
    assert len(sandbox.bills(attempt.id)) == 1


@pytest.mark.usefixtures("room", "disk", "sandbox")
def test_sdks_do_not_retry_a_direct_call_without_an_idempotency_key(program: Caller) -> None:
    refusal = ask(program, "whole")
    assert f"request {the_request().id}" in refused(refusal, 503)["message"]
    assert (refusal["x-should-retry"], "Retry-After" in refusal) == ("false", False)


@doors
@pytest.mark.parametrize("cause", ["full", "down"])
@pytest.mark.usefixtures("queued")
def test_client_does_not_wait_for_a_worker_that_cannot_store_answers(
    program: Caller, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch, door: str, cause: str
) -> None:
    monkeypatch.setattr(ended_rows, "POLL_EVERY_S", 0.01)
    refuse: dict[str, tuple[object, str, Callable[..., Any]]] = {
        "full": (full_disk, "refused_s_ago", lambda: 0.0),
        "down": (ended_rows, "ended_among", _fail),
    }
    monkeypatch.setattr(*refuse[cause])
    refusal = ask(program, door, **{"Idempotency-Key": str(uuid4())})
    assert "Repeat the call with the same Idempotency-Key to fetch the answer." in text_of(refusal)
    assert has_exactly_free_slots(room, 2)
    with system_scope():
        assert AIRequest.objects.get().status == Status.PENDING


def _fail(_requests: object) -> None:
    raise OperationalError("the connection is closed")


def test_only_uninterrupted_refusals_count(settings: Settings) -> None:
    settings.QUEUE_LEASE_S = 15.0
    rows = ended_rows.EndedRows()
    for refused_s_ago, expected in ((20.0, False), (None, False), (8.0, False), (1.0, False)):
        rows._note(refused_s_ago)
        assert rows.is_nothing_stored() is expected
    rows._refusals = None
    for refused_s_ago in (20.0, 1.0):
        rows._note(refused_s_ago)
    assert rows.is_nothing_stored()
