"""Streams of queued or retried calls: events arrive while the provider sends them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from pytest_django.fixtures import Settings

from aiinfra.gateway.v1 import streaming
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.redis import redis_client
from aiinfra.tenants.scope import system_scope
from cost_app.models import Attempt, LedgerEntry
from cost_app.prices.lookup import add_shipped_prices
from queue_app.models import Status
from tests.api.support import COMPLETIONS, MESSAGES_DOOR, RESPONSES, Caller
from tests.gateway.conftest import has_exactly_free_slots
from tests.gateway.streamed import QUESTION, events_of
from tests.gateway.test_chat_waits import start_in_thread, the_request
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("room")]
Begin = Callable[[], None]
HOLD = {"kind": "stream_hold"}
FAILS_ONCE = {"kind": "status", "status": 503, "times": 1}
CASES = {"queued": (True, [HOLD]), "retried": (False, [FAILS_ONCE, HOLD]), "both": (True, [FAILS_ONCE, HOLD])}


@dataclass(frozen=True)
class Door:
    """An endpoint: its path and body, how to read its text, and its last event."""

    path: str
    body: dict[str, Any]
    text_of: Callable[[dict[str, Any]], str | None]
    end: str


DOORS = {
    "chat": Door(
        COMPLETIONS,
        {"model": "deepseek-chat", "messages": QUESTION},
        lambda data: data["choices"][0]["delta"].get("content") if data.get("choices") else None,
        "[DONE]",
    ),
    "messages": Door(
        MESSAGES_DOOR,
        {"model": "claude-haiku-4-5", "messages": QUESTION, "max_tokens": 200},
        lambda data: data["delta"].get("text") if data["type"] == "content_block_delta" else None,
        "message_stop",
    ),
    "responses": Door(
        RESPONSES,
        {"model": "deepseek-chat", "input": "How do I plan a garden?"},
        lambda data: data["delta"] if data["type"] == "response.output_text.delta" else None,
        "response.completed",
    ),
}


def ask(program: Caller, door: Door = DOORS["chat"]) -> StreamingHttpResponse:
    response: Any = program.post(door.path, {**door.body, "stream": True})
    return response  # type: ignore[no-any-return]


def first_text(events: Iterator[str], door: Door = DOORS["chat"]) -> str:
    """Read up to the first piece of text."""
    for event in events:
        _, has_data, data = event.rpartition("data: ")
        if has_data and (text := door.text_of(json.loads(data))):
            return text
    raise AssertionError("the stream ended without any text")


def current_attempt() -> Attempt:
    with system_scope():
        return Attempt.objects.filter(dispatched_at__isnull=False).latest("number")


def release(sandbox: SandboxClient) -> None:
    """Release the held answer after the provider has sent its first half."""
    path = f"/sandbox/calls/{current_attempt().id}/release"
    wait_until(lambda: sandbox.post(path, {}).status_code == 200, "the held answer")


def assert_booked_as_billed(sandbox: SandboxClient) -> None:
    """The ledger has the one call that the provider billed, with the same tokens."""
    attempt = current_attempt()
    [row] = sandbox.get("/sandbox/book")[-1:]
    assert (row["attemptId"], len(sandbox.bills(attempt.id))) == (str(attempt.id), 1)
    assert (attempt.state, attempt.output_tokens) == ("settled", row["usage"]["output"])
    with system_scope():
        assert LedgerEntry.objects.get(attempt_id=attempt.id).nano == attempt.cost_nano > 0


def nothing_left_in_redis() -> bool:
    return not list(redis_client().scan_iter("{aiq}:turn:*")) and not redis_client().zcard("{aiq}:claims")


@pytest.fixture(autouse=True)
def _prices(sandbox: SandboxClient, settings: Settings) -> None:
    add_shipped_prices()
    settings.RETRY_BASE_S = 0.01


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(("is_queued", "faults"), CASES.values(), ids=CASES)
def test_first_token_arrives_while_the_provider_holds_the_rest(
    program: Caller,
    sandbox: SandboxClient,
    worker: Begin,
    room: WaitingRoom,
    request: pytest.FixtureRequest,
    door: Door,
    is_queued: bool,
    faults: list[dict[str, Any]],
) -> None:
    if is_queued:
        request.getfixturevalue("queued")
    sandbox.behave(faults=faults).raise_for_status()
    worker()
    events = events_of(ask(program, door))
    assert first_text(events, door)
    assert (the_request().status, the_request().is_direct) == (Status.PROCESSING, True)
    assert current_attempt().number == len(faults)
    release(sandbox)
    *_, last = events
    assert door.end in last
    assert the_request().status == Status.COMPLETED
    assert_booked_as_billed(sandbox)
    assert nothing_left_in_redis()
    assert has_exactly_free_slots(room, 2)


@pytest.mark.usefixtures("queued")
def test_disconnected_queued_stream_is_billed_for_its_usage(
    program: Caller, sandbox: SandboxClient, worker: Begin, room: WaitingRoom
) -> None:
    sandbox.behave(faults=[HOLD]).raise_for_status()
    worker()
    response = ask(program)
    first_text(events_of(response))
    closed = start_in_thread(response.close)  # type: ignore[arg-type]
    release(sandbox)
    closed()
    assert the_request().status == Status.COMPLETED
    assert_booked_as_billed(sandbox)
    assert nothing_left_in_redis()
    assert has_exactly_free_slots(room, 2)


@pytest.mark.usefixtures("queued")
def test_broken_queued_stream_sends_one_error_event_and_is_not_retried(
    program: Caller, sandbox: SandboxClient, worker: Begin
) -> None:
    sandbox.behave(faults=[{"kind": "stream_error", "times": 1}]).raise_for_status()
    worker()
    events = events_of(ask(program))
    assert first_text(events)
    *_, last = events
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "server_error"
    assert (the_request().status, the_request().attempt_number) == (Status.FAILED, 1)
    assert len(sandbox.bills(current_attempt().id)) == 1
    assert nothing_left_in_redis()


@pytest.mark.usefixtures("queued")
@pytest.mark.parametrize("is_cancelled", [False, True])
def test_following_stream_gets_the_leaders_answer_or_streams_itself(
    program: Caller,
    sandbox: SandboxClient,
    worker: Begin,
    room: WaitingRoom,
    monkeypatch: pytest.MonkeyPatch,
    is_cancelled: bool,
) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_S", 0.0)
    monkeypatch.setattr(streaming, "TICK_S", 0.01)
    sandbox.behave(faults=[HOLD]).raise_for_status()
    leading = events_of(ask(program))
    leader = the_request()
    following = events_of(ask(program))
    if is_cancelled:
        program.post("/api/ai/queue", {"action": "cancel", "requestId": str(leader.id)})
        assert "error" in list(leading)[-1]
    worker()
    assert first_text(following if is_cancelled else leading)
    release(sandbox)
    for events in [following] if is_cancelled else [leading, following]:
        *_, last = events
        assert "[DONE]" in last
    assert_booked_as_billed(sandbox)
    assert nothing_left_in_redis()
    assert has_exactly_free_slots(room, 2)


@pytest.mark.usefixtures("queued")
def test_request_is_left_to_workers_when_its_client_leaves_the_queue(
    program: Caller, sandbox: SandboxClient, worker: Begin, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_S", 0.0)
    response = ask(program)
    assert list(redis_client().scan_iter("{aiq}:turn:*"))
    response.close()
    assert nothing_left_in_redis()
    assert has_exactly_free_slots(room, 2)
    monkeypatch.undo()
    worker()
    *_, last = events_of(ask(program))
    assert "[DONE]" in last
    with system_scope():
        assert [attempt.state for attempt in Attempt.objects.all()] == ["settled"]
