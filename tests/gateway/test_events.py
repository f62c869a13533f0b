"""`GET /api/ai/events`: who is sent what, in which order, and what happens when something breaks."""

import gc
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from pydantic import BaseModel
from pytest_django.fixtures import Settings

from aiinfra import live_events
from aiinfra.gateway import current_permissions, event_stream, events, feed, stopping
from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.gateway.places import AllPlacesTakenError, Places, ShareTakenError
from aiinfra.live_events import PERMISSIONS, Draft, EventType, publish
from aiinfra.tenants import key_cache
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import revoke_key
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from queue_app import control
from queue_app.models import AIRequest
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.api.authorization_cells import operations
from tests.api.support import EVENTS, QUEUE, Caller, enqueue_body, refused
from tests.gateway.sse import Event, Events
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.support.processes import free_port, wait_until

COUNTERPARTS = {
    EventType.REQUEST: (QUEUE, "list"),
    EventType.QUEUE: (QUEUE, "stats"),
    EventType.BUDGET: ("/api/ai/cost", "budgets"),
    EventType.ALERT: ("/api/ai/cost", "alerts"),
}


class Note(BaseModel):
    """Some data."""

    text: str = ""


def tell(organization: Organization, text: str = "", kind: EventType = EventType.ALERT, subject: str = "1") -> None:
    publish(organization.pk, [Draft(kind, subject, Note(text=text))])


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    """Four new places, of which an organization may have three."""
    fresh = Places(4)
    monkeypatch.setattr(events, "places", fresh)
    monkeypatch.setattr(event_stream, "places", fresh)
    return fresh


@pytest.fixture
def listen(places: Places, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Events]]:
    """Opens streams, which are closed after the test; rights are checked before each event.

    The test's transaction keeps its connection.
    """
    for module in (event_stream, current_permissions):
        monkeypatch.setattr(module, "release_connections", lambda: None)
    monkeypatch.setattr(event_stream, "CHECK_S", 0)
    monkeypatch.setattr(event_stream, "TICK_S", 0.05)
    monkeypatch.setattr(feed, "PAUSE_S", 0.05)
    responses: list[HttpResponse] = []

    def begin(caller: Caller, last_event_id: str | None = None, **query: str) -> Events:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        response = caller.client.get(EVENTS, query, headers={**caller.headers, **headers})
        assert response.status_code == 200, response.content
        responses.append(response)
        return Events(response.streaming_content)

    yield begin
    for response in responses:
        response.close()
    assert places.taken() == 0
    assert feed.feed.count() == 0


def ready(stream: Events) -> Event:
    """The first event."""
    event = stream.next()
    assert event.name == "ready"
    return event


# What is sent


def test_the_answer_is_an_event_stream_that_nothing_buffers(listen: Callable[..., Events], program: Caller) -> None:
    response = program.get(EVENTS)
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-cache"
    assert response["X-Accel-Buffering"] == "no"
    assert not response.has_header("Content-Length")
    assert next(iter(response.streaming_content)) == b"retry: 2000\n\n"
    response.close()


def test_it_begins_with_ready_which_says_what_will_come(listen: Callable[..., Events], program: Caller) -> None:
    first = ready(listen(program))
    assert first.data == {"types": ["alert", "budget", "queue", "request"]}
    assert first.id


def test_a_request_is_announced_from_acceptance_to_end(
    listen: Callable[..., Events], program: Caller, provider: ScriptedProvider
) -> None:
    stream = listen(program)
    ready(stream)
    body = enqueue_body(messages=[{"role": "user", "content": "A secret question"}], priority="high")
    request_id = program.post(QUEUE, body).json()["requestId"]
    claim = claim_next("worker")
    assert claim is not None
    process(claim)
    told = stream.take(3)
    assert [event.data["status"] for event in told] == ["pending", "processing", "completed"]
    cost = program.get(QUEUE, action="status", requestId=request_id).json()["cost"]
    assert [event.data["cost"] for event in told] == [None, None, cost] != [None, None, "0.00"]
    assert len({event.id for event in told}) == 3
    for event in told:
        assert event.name == "request"
        same = {"requestId": request_id, "provider": "deepseek", "model": "deepseek-chat", "priority": "high"}
        assert same.items() <= event.data.items()
        assert "secret" not in str(event.data) and "Hello" not in str(event.data)


def test_a_repeat_and_a_failure_are_announced(
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


def test_a_request_that_fails_says_why_in_a_code(
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
        tell(organization, f"mine {number}")
        tell(other_organization, f"theirs {number}")
    assert [event.data["text"] for event in mine.take(20)] == [f"mine {number}" for number in range(20)]
    assert [event.data["text"] for event in theirs.take(20)] == [f"theirs {number}" for number in range(20)]


def test_only_requested_types_are_sent(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program, types="alert,budget")
    assert ready(stream).data == {"types": ["alert", "budget"]}
    for kind in EventType:
        tell(organization, kind=kind)
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


def test_head_has_the_headers_and_takes_no_slot(program: Caller, places: Places) -> None:
    response = program.client.head(EVENTS, headers=program.headers)
    assert (response.status_code, response["Content-Type"], response.content) == (200, "text/event-stream", b"")
    assert places.taken() == 0


def test_other_methods_are_refused(program: Caller) -> None:
    assert refused(program.method("POST", EVENTS), 405)


# Rights


def test_an_event_type_needs_the_permission_of_its_json_counterpart() -> None:
    of_operation = {(address, action): operation.permission for address, _, action, operation in operations()}
    assert {kind: of_operation[COUNTERPARTS[kind]] for kind in EventType} == PERMISSIONS


def test_a_key_is_sent_the_types_of_its_scopes(
    listen: Callable[..., Events], key_of: Callable[..., Caller], organization: Organization
) -> None:
    stream = listen(key_of(Role.OPERATOR, ["cost:read"]))
    assert ready(stream).data == {"types": ["alert", "budget"]}
    for kind in EventType:
        tell(organization, kind=kind)
    assert [event.name for event in stream.take(2)] == ["budget", "alert"]


def test_a_type_that_the_scopes_do_not_allow_is_403(key_of: Callable[..., Caller]) -> None:
    accountant = key_of(Role.OPERATOR, ["cost:read"])
    assert "queue:read" in refused(accountant.get(EVENTS, types="queue"), 403)["message"]
    refused(accountant.get(EVENTS, requestId=str(uuid4())), 403)
    refused(key_of(Role.OPERATOR, ["chat:write"]).get(EVENTS), 403)
    refused(Caller().get(EVENTS), 401)


def test_a_key_that_is_revoked_ends_its_stream(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    with organization_scope(organization.pk):
        revoke_key(key=ApiKey.objects.get(), actor="test")
    key_cache.clear()
    assert stream.rest() == [Event("", "end", {"reason": "unauthorized"})]


def test_logging_out_ends_the_stream(
    listen: Callable[..., Events], operator: User, client_of: Callable[[User], Client]
) -> None:
    client = client_of(operator)
    stream = listen(Caller(client))
    ready(stream)
    client.logout()
    assert stream.rest() == [Event("", "end", {"reason": "unauthorized"})]


def test_a_removed_members_stream_ends(
    listen: Callable[..., Events], operator: User, owner: User, client_of: Callable[[User], Client]
) -> None:
    stream = listen(Caller(client_of(operator)))
    ready(stream)
    Membership.objects.filter(user=operator).delete()
    assert stream.rest() == [Event("", "end", {"reason": "unauthorized"})]


def test_a_removed_scope_ends_its_types(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    with organization_scope(organization.pk):
        ApiKey.objects.update(scopes=["cost:read"])
    key_cache.clear()
    tell(organization, "first")
    assert stream.next().data == {"text": "first"}
    tell(organization, kind=EventType.QUEUE)
    tell(organization, "second")
    assert stream.next().data == {"text": "second"}
    with organization_scope(organization.pk):
        ApiKey.objects.update(scopes=["chat:write"])
    key_cache.clear()
    assert stream.rest() == [Event("", "end", {"reason": "forbidden"})]


# Resuming


def test_a_client_resumes_after_the_event_that_it_had_last(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    tell(organization, "one")
    stream.next()
    for text in ("two", "three"):
        tell(organization, text)
    for resumed in (listen(program, last_event_id=stream.last_id), listen(program, lastEventId=stream.last_id)):
        assert ready(resumed).id == stream.last_id
        assert [event.data["text"] for event in resumed.take(2)] == ["two", "three"]


def test_a_client_that_had_no_event_yet_resumes_from_ready(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    first = ready(listen(program))
    tell(organization, "meanwhile")
    resumed = listen(program, last_event_id=first.id)
    ready(resumed)
    assert resumed.next().data == {"text": "meanwhile"}


def test_the_header_takes_precedence_over_the_parameter(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    old = ready(listen(program)).id
    tell(organization, "old")
    stream = listen(program)
    new = ready(stream).id
    tell(organization, "new")
    resumed = listen(program, last_event_id=new, lastEventId=old)
    ready(resumed)
    assert resumed.next().data == {"text": "new"}


@pytest.mark.parametrize("last_event_id", ["1-0", "999999999999999-0"])
def test_an_id_that_the_history_does_not_have_is_answered_by_reset(
    listen: Callable[..., Events], program: Caller, organization: Organization, last_event_id: str
) -> None:
    tell(organization, "before")
    stream = listen(program, last_event_id=last_event_id)
    ready(stream)
    assert stream.next().data == {"reason": "too_old"}
    tell(organization, "after")
    assert stream.next().data == {"text": "after"}


def test_an_id_that_was_trimmed_is_answered_by_reset(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_events, "HISTORY_MAX", 100)
    begin = ready(listen(program)).id
    for _ in range(301):
        tell(organization, "x")
    resumed = listen(program, last_event_id=begin)
    ready(resumed)
    assert (resumed.next().name, resumed.last_id > begin) == ("reset", True)


def test_more_events_than_a_history_page_are_sent_in_order(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_events, "PAGE", 10)
    monkeypatch.setattr(event_stream, "PAGE", 10)
    begin = ready(listen(program)).id
    publish(organization.pk, [Draft(EventType.ALERT, "1", Note(text=str(number))) for number in range(45)])
    resumed = listen(program, last_event_id=begin)
    ready(resumed)
    assert [event.data["text"] for event in resumed.take(45)] == [str(number) for number in range(45)]


def test_a_slow_client_misses_nothing_that_the_history_still_has(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "UNREAD_MAX", 5)
    stream = listen(program)
    ready(stream)
    publish(organization.pk, [Draft(EventType.ALERT, "1", Note(text=str(number))) for number in range(60)])
    assert [event.data["text"] for event in stream.take(60)] == [str(number) for number in range(60)]


def test_an_event_that_the_channel_lost_comes_with_the_next_heartbeat(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    monkeypatch.setattr(feed.Feed, "_deliver", lambda *_: None)
    stream = listen(program)
    ready(stream)
    tell(organization, "lost")
    assert stream.next().data == {"text": "lost"}
    assert "heartbeat" in stream.comments


def test_a_heartbeat_contains_the_clients_position(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an id would grow too old while nothing comes that the client wants."""
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    stream = listen(program, types="alert")
    begin = ready(stream).id
    tell(organization, kind=EventType.QUEUE)
    unwanted = live_events.newest_id(organization.pk)
    tell(organization, "wanted")
    resumed_from: Any = [stream.last_id]
    stream.next()
    assert begin < unwanted < stream.last_id
    assert resumed_from[0] in (begin, unwanted)


# Faults


def test_a_stream_reports_an_unavailable_redis_and_continues(
    listen: Callable[..., Events], program: Caller, organization: Organization, settings: Settings
) -> None:
    stream = listen(program)
    ready(stream)
    url, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}/0"
    assert stream.next() == Event("", "interrupted", {"reason": "redis_unavailable"})
    settings.REDIS_URL = url
    back = stream.next()
    assert (back.name, back.data, bool(back.id)) == ("reset", {"reason": "interrupted"}, True)
    tell(organization, "again")
    assert stream.next().data == {"text": "again"}


def test_a_stream_can_start_without_redis(
    listen: Callable[..., Events], program: Caller, organization: Organization, settings: Settings
) -> None:
    url, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}/0"
    stream = listen(program)
    assert stream.next().name == "interrupted"
    settings.REDIS_URL = url
    assert [event.name for event in stream.take(2)] == ["ready", "reset"]


def test_a_redis_without_its_data_causes_a_reset(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    stream = listen(program)
    ready(stream)
    live_events.redis_client().flushall()
    assert stream.next().data == {"reason": "too_old"}
    tell(organization, "again")
    assert stream.next().data == {"text": "again"}


def test_a_failed_publish_raises_no_error(program: Caller, organization: Organization, settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    tell(organization)
    assert program.post(QUEUE, enqueue_body()).status_code == 202


def test_a_server_that_stops_ends_its_streams(
    listen: Callable[..., Events], program: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = listen(program)
    ready(stream)
    monkeypatch.setattr(stopping, "is_stopping", lambda: True)
    assert stream.rest() == [Event("", "end", {"reason": "shutdown"})]


def test_streams_end_without_the_database(
    listen: Callable[..., Events], program: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot be checked may have lost his rights."""

    def away(_: object) -> None:
        raise OperationalError

    stream = listen(program)
    ready(stream)
    monkeypatch.setattr(event_stream, "current_permissions", away)
    assert stream.rest() == [Event("", "end", {"reason": "unavailable"})]


def test_a_client_that_does_not_read_loses_its_slot(
    listen: Callable[..., Events], program: Caller, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "STALLED_S", 0)
    stream = listen(program)
    ready(stream)
    monkeypatch.setattr(ClientSocket, "is_ready", lambda *_: False)
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    tell(Organization.objects.get())
    assert stream.rest() == []
    assert places.taken() == 0


def test_an_invalid_message_is_ignored(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    live_events.redis_client().publish(live_events.CHANNEL, "nonsense")
    tell(organization, "sense")
    assert stream.next().data == {"text": "sense"}


def test_any_number_of_listeners_share_one_subscription(
    listen: Callable[..., Events], program: Caller, other_program: Caller
) -> None:
    for caller in (program, program, other_program):
        ready(listen(caller))
    wait_until(lambda: _subscriptions() == 1, "the subscription")
    assert feed.feed.count() == 3


def _subscriptions() -> int:
    return int(live_events.redis_client().pubsub_numsub(live_events.CHANNEL)[0][1])


# Places


def test_an_organization_cannot_take_all_slots(
    listen: Callable[..., Events], program: Caller, other_program: Caller
) -> None:
    for _ in range(3):
        listen(program)
    full = program.get(EVENTS)
    assert refused(full, 429)["type"] == "too_many_streams"
    assert full["Retry-After"] == "5"
    listen(other_program)
    full = other_program.get(EVENTS)
    assert refused(full, 503)["type"] == "unavailable"
    assert full["Retry-After"] == "5"


def test_closing_a_stream_frees_its_slot(listen: Callable[..., Events], program: Caller, places: Places) -> None:
    for _ in range(6):
        response = program.get(EVENTS)
        next(iter(response.streaming_content))
        assert places.taken() == 1
        response.close()
        assert places.taken() == 0


def test_an_unread_stream_frees_its_slot(program: Caller, places: Places) -> None:
    response = program.get(EVENTS)
    assert places.taken() == 1
    del response
    gc.collect()
    assert places.taken() == 0


def test_slots_are_limited_and_released() -> None:
    few = Places(4)
    for _ in range(3):
        few.take(1)
    with pytest.raises(ShareTakenError):
        few.take(1)
    few.take(2)
    with pytest.raises(AllPlacesTakenError):
        few.take(2)
    few.leave(1)
    few.take(1)
    one = Places(1)
    one.take(1)
    with pytest.raises(AllPlacesTakenError):
        Places(0).take(1)


# What it costs


def test_a_request_costs_one_redis_command_for_each_of_its_statuses(
    program: Caller, provider: ScriptedProvider, organization: Organization
) -> None:
    def calls(command: str) -> int:
        stats = live_events.redis_client().info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])

    tell(organization)  # the script is loaded
    before = {command: calls(command) for command in ("xadd", "publish")}
    scripts: list[list[str]] = []
    original = live_events._script()

    def counted(*args: Any, **kwargs: Any) -> object:
        scripts.append(kwargs["args"])
        return original(*args, **kwargs)

    live_events._script.cache_clear()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(live_events, "_script", lambda: counted)
        program.post(QUEUE, enqueue_body())
        claim = claim_next("worker")
        assert claim is not None
        process(claim)
    assert len(scripts) == 3
    assert {command: calls(command) - number for command, number in before.items()} == {"xadd": 3, "publish": 3}
