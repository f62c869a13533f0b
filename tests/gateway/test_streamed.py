"""`POST /v1/chat/completions` with `stream`: events are forwarded as the provider sends them."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pytest_django.fixtures import Settings

from aiinfra.gateway import chat
from aiinfra.gateway.v1 import streaming
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.models import Attempt, LedgerEntry
from cost_app.prices.lookup import add_shipped_prices
from queue_app.control import pause, resume
from queue_app.models import AIRequest, Status
from queue_app.ordering import index
from queue_app.processing import in_flight
from tests.api.support import Caller, refused
from tests.api.test_request_costs import LOCKS
from tests.gateway.conftest import has_exactly_free_slots
from tests.gateway.stepwise import USAGE, Stepwise
from tests.gateway.streamed import DONE, KEEP_ALIVE, ask, data_of, events_of, text_of
from tests.gateway.test_chat_waits import start_in_thread, the_request
from tests.providers.conftest import SandboxClient
from tests.support.costs import counted_costs
from tests.support.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
NANO = 10 * 1_000 + 2 * 10_000
"""The cost of `USAGE`."""


def ended_attempt() -> Attempt:
    with system_scope():
        return Attempt.objects.get()


@pytest.fixture
def immediate_keep_alives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keep-alive is due immediately."""
    monkeypatch.setattr(streaming, "KEEP_ALIVE_S", 0.0)
    monkeypatch.setattr(streaming, "TICK_S", 0.01)


@pytest.mark.parametrize("with_usage", [True, False])
def test_each_event_arrives_before_the_provider_sends_the_next(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, with_usage: bool
) -> None:
    stepwise.send_text("Plan ")
    response = ask(program, stream_options={"include_usage": with_usage})
    events = events_of(response)
    first = data_of(next(events))
    stepwise.send_text("it.")
    second = data_of(next(events))
    stepwise.finish()
    *rest, done = events
    request = the_request()
    envelope = {"id": f"chatcmpl-{request.id.hex}", "model": "stepwise", "object": "chat.completion.chunk"}
    assert [chunk["choices"][0]["delta"]["content"] for chunk in (first, second)] == ["Plan ", "it."]
    assert first.items() >= {**envelope, "extra": 7}.items()
    assert "usage" not in first
    assert done == DONE
    last = data_of(rest[-1])
    assert (last.get("usage", {}).get("total_tokens"), last["choices"] == []) == (
        (12, True) if with_usage else (None, False)
    )
    assert response["x-aiinfra-request-id"] == str(request.id)
    assert stepwise.bodies[0]["stream_options"] == {"include_usage": True}
    with system_scope():
        assert LedgerEntry.objects.get().nano == NANO
    assert (request.status, in_flight.running_count()) == (Status.COMPLETED, 0)
    assert has_exactly_free_slots(room, 2)


def test_keep_alives_are_sent_while_the_provider_is_silent(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, immediate_keep_alives: None
) -> None:
    events = events_of(ask(program))
    assert [next(events), next(events)] == [KEEP_ALIVE, KEEP_ALIVE]
    stepwise.send_text("Late.")
    stepwise.finish()
    *rest, done = events
    assert (text_of(rest), done) == ("Late.", DONE)


@pytest.mark.parametrize(("status", "answered"), [(400, 400), (429, 429), (500, 502)])
def test_failure_before_the_first_event_is_an_http_status(
    program: Caller,
    sandbox: SandboxClient,
    room: WaitingRoom,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    answered: int,
) -> None:
    sandbox.behave(faults=[{"kind": "status", "status": status}]).raise_for_status()
    monkeypatch.setattr("queue_app.processing.outcomes.next_attempt", lambda *_, **__: None)
    refused(ask(program, "deepseek-chat"), answered)
    assert has_exactly_free_slots(room, 2)


def test_failure_after_a_keep_alive_is_one_error_event(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, immediate_keep_alives: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queue_app.processing.outcomes.next_attempt", lambda *_, **__: None)
    events = events_of(ask(program))
    assert next(events) == KEEP_ALIVE
    stepwise.send(error={"message": "overloaded", "code": 400, "type": "invalid_request_error"})
    last = [event for event in events if event != KEEP_ALIVE]
    assert [list(data_of(event)) for event in last] == [["error"]]


@pytest.mark.parametrize("kind", ["stream_error", "stream_reset"])
def test_broken_stream_ends_with_one_error_event_and_is_not_retried(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, kind: str
) -> None:
    add_shipped_prices()
    sandbox.behave(faults=[{"kind": kind, "times": 1}]).raise_for_status()
    *events, last = events_of(ask(program, "deepseek-chat"))
    assert text_of(events)
    assert data_of(last)["error"]["type"] == "server_error"
    request, attempt = the_request(), ended_attempt()
    assert (request.status, request.attempt_number) == (Status.FAILED, 1)
    assert (attempt.state, attempt.cost_nano) == ("estimated", attempt.bound_nano)
    assert attempt.bound_nano > 0
    assert len(sandbox.bills(attempt.id)) == 1
    assert has_exactly_free_slots(room, 2)


def test_failure_before_the_first_event_is_retried_on_the_same_connection(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, worker: Callable[[], None], settings: Settings
) -> None:
    settings.RETRY_BASE_S = 0.01
    sandbox.behave(faults=[{"kind": "status", "status": 503, "times": 1}]).raise_for_status()
    worker()
    *events, done = events_of(ask(program, "deepseek-chat"))
    assert text_of(events)
    assert (done, the_request().attempt_number) == (DONE, 2)


def test_disconnected_client_is_billed_for_its_usage_and_the_answer_is_cached(
    program: Caller, stepwise: Stepwise, room: WaitingRoom
) -> None:
    stepwise.send_text("Plan ")
    response = ask(program)
    assert next(events_of(response))
    closed = start_in_thread(response.close)
    stepwise.send_text("it.")
    stepwise.finish()
    closed()
    attempt = ended_attempt()
    assert (attempt.state, attempt.cost_nano, the_request().status) == ("settled", NANO, Status.COMPLETED)
    again = ask(program)
    assert again["x-aiinfra-cache"] == "hit"
    assert text_of(list(events_of(again))) == "Plan it."
    assert has_exactly_free_slots(room, 2)


def test_call_of_a_disconnected_client_ends_after_the_drain_time(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, settings: Settings
) -> None:
    settings.STREAM_DRAIN_S = 0
    stepwise.send_text("Plan ")
    response = ask(program)
    assert next(events_of(response))
    closed = start_in_thread(response.close)
    wait_until(lambda: _ends_after_more_text(stepwise), "the call to end")
    closed()
    request, attempt = the_request(), ended_attempt()
    assert (request.status, request.error_code) == (Status.FAILED, "CALLER_LOST")
    assert (attempt.state, attempt.cost_nano) == ("estimated", attempt.bound_nano)
    assert not any(state.failures for state in breaker.states())


def _ends_after_more_text(stepwise: Stepwise) -> bool:
    stepwise.send_text("more")
    return the_request().status in {Status.FAILED, Status.COMPLETED}


def test_call_waiting_for_its_turn_gets_keep_alives(
    program: Caller,
    sandbox: SandboxClient,
    room: WaitingRoom,
    worker: Callable[[], None],
    organization: Organization,
    immediate_keep_alives: None,
) -> None:
    index.mark_complete()
    with system_scope():
        pause(organization.pk, None, actor="test")
    events = events_of(ask(program, "deepseek-chat"))
    assert [next(events), next(events)] == [KEEP_ALIVE, KEEP_ALIVE]
    worker()
    with system_scope():
        resume(organization.pk, None, actor="test")
    *rest, done = events
    assert text_of(rest)
    assert done == DONE


def test_timed_out_call_sends_an_error_event(
    program: Caller, room: WaitingRoom, queued: None, immediate_keep_alives: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "WAIT_MARGIN_S", -0.9)
    events = list(events_of(ask(program, "deepseek-chat", {"x-aiinfra-timeout": "1"})))
    assert data_of(events[-1])["error"]["code"] == "timeout"
    assert has_exactly_free_slots(room, 2)


def test_repeated_idempotency_key_replays_the_stream(program: Caller, stepwise: Stepwise, room: WaitingRoom) -> None:
    stepwise.send_text("Plan it.")
    stepwise.finish()
    first, second = (list(events_of(ask(program, headers={"Idempotency-Key": "k1"}))) for _ in range(2))
    assert text_of(first) == text_of(second) == "Plan it."
    assert first[-1] == second[-1] == DONE
    assert data_of(first[0])["id"] == data_of(second[0])["id"]
    assert len(stepwise.bodies) == 1


def test_cancelled_stream_ends_with_an_error_and_is_billed(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, organization: Organization
) -> None:
    stepwise.send_text("Plan ")
    events = events_of(ask(program))
    next(events)
    program.post("/api/ai/queue", {"action": "cancel", "requestId": str(the_request().id)})
    stepwise.finish()
    *_, last = events
    assert data_of(last)["error"]["code"] == "cancelled"
    assert (ended_attempt().state, ended_attempt().cost_nano) == ("settled", NANO)


def test_unstreamed_provider_answer_is_sent_as_a_stream(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.gateway.stepwise.HEAD", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    message = {"role": "assistant", "content": "All at once."}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
    stepwise.steps.put(json.dumps(body).encode())
    stepwise.close_connection()
    *events, done = events_of(ask(program))
    assert (text_of(events), done) == ("All at once.", DONE)
    assert redis_client().zcard("{aiq}:claims") == 0


def test_client_without_a_slot_is_refused_before_anything_is_stored(
    program: Caller, stepwise: Stepwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = WaitingRoom(1)
    monkeypatch.setattr(chat, "waiting_room", full)
    stepwise.send_text("Plan ")
    response = ask(program)
    refused(ask(program, messages=[{"role": "user", "content": "Another?"}]), 429)
    with system_scope():
        assert AIRequest.objects.count() == 1
    stepwise.finish()
    assert list(events_of(response))[-1] == DONE
    assert has_exactly_free_slots(full, 1)


class InlineThread:
    """Runs its target in the starting thread, so that its statements are counted."""

    def __init__(self, target: Callable[[], None], name: str) -> None:  # noqa: ARG002 - the signature of a thread
        self.start = target

    def join(self) -> None:
        """The target has already run."""


def test_streamed_call_costs_no_more_statements_than_a_waiting_one(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.mark_complete()
    add_shipped_prices()
    monkeypatch.setattr("aiinfra.gateway.lane.streamed_call.threading", SimpleNamespace(Thread=InlineThread))
    costs = {}
    for is_streamed in (False, True, False, True):  # the first two warm the process's caches
        with counted_costs() as counted:
            response = ask(program, "deepseek/deepseek-chat", {"x-aiinfra-cache": "bypass"}, stream=is_streamed)
            assert list(events_of(response))[-1] == DONE if is_streamed else response.json()["choices"]
        costs[is_streamed] = counted.counts
    # Only the waiting call reads the remaining budget, for its header.
    assert costs == {False: (14 + LOCKS, 2, 4), True: (13 + LOCKS, 2, 4)}
