"""`GET /api/ai/events`: a client that reconnects misses no event."""

from collections.abc import Callable
from typing import Any

import pytest

from aiinfra import live_events
from aiinfra.gateway import event_stream, feed
from aiinfra.live_events import Draft, EventType, publish
from aiinfra.tenants.models import Organization
from tests.api.support import Caller
from tests.gateway.sse import Events
from tests.gateway.streams import Note, publish_note, ready


def test_client_resumes_after_its_last_event(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    publish_note(organization, "one")
    stream.next()
    for text in ("two", "three"):
        publish_note(organization, text)
    for resumed in (listen(program, last_event_id=stream.last_id), listen(program, lastEventId=stream.last_id)):
        assert ready(resumed).id == stream.last_id
        assert [event.data["text"] for event in resumed.take(2)] == ["two", "three"]


def test_client_without_events_resumes_from_ready(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    first = ready(listen(program))
    publish_note(organization, "meanwhile")
    resumed = listen(program, last_event_id=first.id)
    ready(resumed)
    assert resumed.next().data == {"text": "meanwhile"}


def test_the_header_takes_precedence_over_the_parameter(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    old = ready(listen(program)).id
    publish_note(organization, "old")
    stream = listen(program)
    new = ready(stream).id
    publish_note(organization, "new")
    resumed = listen(program, last_event_id=new, lastEventId=old)
    ready(resumed)
    assert resumed.next().data == {"text": "new"}


@pytest.mark.parametrize("last_event_id", ["1-0", "999999999999999-0"])
def test_unknown_event_id_is_answered_with_reset(
    listen: Callable[..., Events], program: Caller, organization: Organization, last_event_id: str
) -> None:
    publish_note(organization, "before")
    stream = listen(program, last_event_id=last_event_id)
    ready(stream)
    assert stream.next().data == {"reason": "too_old"}
    publish_note(organization, "after")
    assert stream.next().data == {"text": "after"}


def test_trimmed_event_id_is_answered_with_reset(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_events, "HISTORY_MAX", 100)
    begin = ready(listen(program)).id
    for _ in range(301):
        publish_note(organization, "x")
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


def test_slow_client_misses_no_event_within_the_history(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "UNREAD_MAX", 5)
    stream = listen(program)
    ready(stream)
    publish(organization.pk, [Draft(EventType.ALERT, "1", Note(text=str(number))) for number in range(60)])
    assert [event.data["text"] for event in stream.take(60)] == [str(number) for number in range(60)]


def test_event_lost_by_the_channel_arrives_with_the_next_heartbeat(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    monkeypatch.setattr(feed.Feed, "_deliver", lambda *_: None)
    stream = listen(program)
    ready(stream)
    publish_note(organization, "lost")
    assert stream.next().data == {"text": "lost"}
    assert "heartbeat" in stream.comments


def test_a_heartbeat_contains_the_clients_position(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, the client's last ID would expire while no requested event arrives."""
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    stream = listen(program, types="alert")
    begin = ready(stream).id
    publish_note(organization, kind=EventType.QUEUE)
    unwanted = live_events.newest_id(organization.pk)
    publish_note(organization, "wanted")
    resumed_from: Any = [stream.last_id]
    stream.next()
    assert begin < unwanted < stream.last_id
    assert resumed_from[0] in (begin, unwanted)
