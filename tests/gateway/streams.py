"""Opens event streams in the test's process."""

from collections.abc import Callable, Iterator

import pytest
from django.http import HttpResponse
from pydantic import BaseModel

from aiinfra.gateway import current_permissions, event_stream, events, feed
from aiinfra.gateway.connection_slots import ConnectionSlots
from aiinfra.live_events import Draft, EventType, publish
from aiinfra.tenants.models import Organization
from tests.api.support import EVENTS, Caller
from tests.gateway.sse import Event, Events


class Note(BaseModel):
    """The data of a test event."""

    text: str = ""


def publish_note(
    organization: Organization, text: str = "", kind: EventType = EventType.ALERT, subject: str = "1"
) -> None:
    publish(organization.pk, [Draft(kind, subject, Note(text=text))])


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> ConnectionSlots:
    """Four new slots, of which an organization may have three."""
    fresh = ConnectionSlots(4)
    monkeypatch.setattr(events, "slots", fresh)
    monkeypatch.setattr(event_stream, "slots", fresh)
    return fresh


@pytest.fixture
def listen(slots: ConnectionSlots, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Events]]:
    """Opens streams, which are closed after the test. Permissions are checked before each event.

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
    assert slots.taken() == 0
    assert feed.feed.count() == 0


def ready(stream: Events) -> Event:
    """Read the first event, which must be `ready`."""
    event = stream.next()
    assert event.name == "ready"
    return event
