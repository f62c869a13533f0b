"""`GET /api/ai/events`: which events are sent, their order, and their cost."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from aiinfra import live_events
from aiinfra.gateway.connection_slots import ConnectionSlots
from aiinfra.live_events import EventType
from aiinfra.redis import ScriptCall
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app import control
from queue_app.models import AIRequest
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.api.support import EVENTS, QUEUE, Caller, enqueue_body, refused
from tests.gateway.sse import Events
from tests.gateway.streams import publish_note, ready
from tests.queue_app.conftest import ScriptedProvider, refusal

# Events


def test_response_is_an_unbuffered_event_stream(listen: Callable[..., Events], program: Caller) -> None:
    response = program.get(EVENTS)
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-cache"
    assert response["X-Accel-Buffering"] == "no"
    assert not response.has_header("Content-Length")
    assert next(iter(response.streaming_content)) == b"retry: 2000\n\n"
    response.close()


def test_stream_starts_with_ready_and_its_event_types(listen: Callable[..., Events], program: Caller) -> None:
    first = ready(listen(program))
    assert first.data == {"types": ["alert", "budget", "queue", "request"]}
    assert first.id


def test_request_sends_events_from_acceptance_to_its_end(
    listen: Callable[..., Events], program: Caller, provider: ScriptedProvider
) -> None:
    stream = listen(program)
    ready(stream)
    body = enqueue_body(messages=[{"role": "user", "content": "A secret question"}], priority="high")
    request_id = program.post(QUEUE, body).json()["requestId"]
    claim = claim_next("worker")
    assert claim is not None
    process(claim)
    received = stream.take(3)
    assert [event.data["status"] for event in received] == ["pending", "processing", "completed"]
    cost = program.get(QUEUE, action="status", requestId=request_id).json()["cost"]
    assert [event.data["cost"] for event in received] == [None, None, cost] != [None, None, "0.00"]
    assert len({event.id for event in received}) == 3
    for event in received:
        assert event.name == "request"
        same = {"requestId": request_id, "provider": "deepseek", "model": "deepseek-chat", "priority": "high"}
        assert same.items() <= event.data.items()
        assert "secret" not in str(event.data) and "Hello" not in str(event.data)


def test_retry_and_cancellation_send_events(
    listen: Callable[..., Events], program: Caller, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queue_app.processing.retry_policy.backoff_s", lambda *_, **__: 0.0, raising=False)
    provider.script = [refusal("SERVER_ERROR"), refusal("INVALID_REQUEST")]
    stream = listen(program)
    ready(stream)
    program.post(QUEUE, enqueue_body(maxRetries=1))
    first = claim_next("worker")
    assert first is not None
    process(first)
    assert [event.data["status"] for event in stream.take(3)] == ["pending", "processing", "pending"]
    with organization_scope(first.request.organization_id):
        AIRequest.objects.update(not_before=first.request.created_at)
        control.cancel(AIRequest.objects.get(), actor="test")
    ended = stream.next()
    assert (ended.data["status"], ended.data["attempt"], ended.data["cost"]) == ("cancelled", 2, "0.00")


def test_failed_request_sends_its_error_code(
    listen: Callable[..., Events], program: Caller, provider: ScriptedProvider
) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    stream = listen(program)
    ready(stream)
    program.post(QUEUE, enqueue_body(maxRetries=0))
    claim = claim_next("worker")
    assert claim is not None
    process(claim)
    failed = stream.take(3)[-1]
    assert (failed.data["status"], failed.data["errorCode"]) == ("failed", "INVALID_REQUEST")


def test_streams_never_contain_other_organizations_events(
    listen: Callable[..., Events],
    program: Caller,
    other_program: Caller,
    organization: Organization,
    other_organization: Organization,
) -> None:
    mine, theirs = listen(program), listen(other_program)
    ready(mine), ready(theirs)
    for number in range(20):
        publish_note(organization, f"mine {number}")
        publish_note(other_organization, f"theirs {number}")
    assert [event.data["text"] for event in mine.take(20)] == [f"mine {number}" for number in range(20)]
    assert [event.data["text"] for event in theirs.take(20)] == [f"theirs {number}" for number in range(20)]


def test_only_requested_types_are_sent(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program, types="alert,budget")
    assert ready(stream).data == {"types": ["alert", "budget"]}
    for kind in EventType:
        publish_note(organization, kind=kind)
    assert [event.name for event in stream.take(2)] == ["budget", "alert"]


def test_a_request_stream_starts_with_the_current_status(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    request_id, other_id = (program.post(QUEUE, enqueue_body()).json()["requestId"] for _ in range(2))
    stream = listen(program, requestId=request_id)
    assert ready(stream).data == {"types": ["request"]}
    now = stream.next()
    assert (now.id, now.data["requestId"], now.data["status"]) == ("", request_id, "pending")
    for each in (other_id, request_id):
        program.post(QUEUE, {"action": "cancel", "requestId": each})
    changed = stream.next()
    assert (changed.data["requestId"], changed.data["status"]) == (request_id, "cancelled")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"types": "request,weather"}, "types"),
        ({"types": ""}, "types"),
        ({"types": "budget", "requestId": str(uuid4())}, "types"),
        ({"lastEventId": "yesterday"}, "lastEventId"),
        ({"lastEventId": "9" * 30 + "-1"}, "lastEventId"),
        ({"topic": "all"}, "topic"),
    ],
)
def test_an_invalid_query_is_refused(program: Caller, query: dict[str, str], param: str) -> None:
    refused(program.get(EVENTS, **query), 400, param)


def test_an_invalid_last_event_id_is_refused(program: Caller) -> None:
    response = program.client.get(EVENTS, headers={**program.headers, "Last-Event-ID": "yesterday"})
    refused(response, 400, "Last-Event-ID")


def test_a_request_of_another_organization_is_404(program: Caller, other_program: Caller) -> None:
    request_id = other_program.post(QUEUE, enqueue_body()).json()["requestId"]
    refused(program.get(EVENTS, requestId=request_id), 404)
    refused(program.get(EVENTS, requestId=str(uuid4())), 404)


def test_head_has_the_headers_and_takes_no_slot(program: Caller, slots: ConnectionSlots) -> None:
    response = program.client.head(EVENTS, headers=program.headers)
    assert (response.status_code, response["Content-Type"], response.content) == (200, "text/event-stream", b"")
    assert slots.taken() == 0


def test_other_methods_are_refused(program: Caller) -> None:
    assert refused(program.method("POST", EVENTS), 405)


# Costs


def test_request_costs_one_redis_command_per_status(
    program: Caller, provider: ScriptedProvider, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls(command: str) -> int:
        stats = live_events.redis_client().info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])

    sent: list[ScriptCall] = []

    def counted(*arguments: Any) -> ScriptCall:
        sent.append(ScriptCall(*arguments))
        return sent[-1]

    publish_note(organization)  # loads the script
    before = {command: calls(command) for command in ("xadd", "publish")}
    monkeypatch.setattr(live_events, "ScriptCall", counted)
    program.post(QUEUE, enqueue_body())
    claim = claim_next("worker")
    assert claim is not None
    process(claim)
    assert len(sent) == 3
    assert {command: calls(command) - number for command, number in before.items()} == {"xadd": 3, "publish": 3}
