"""`GET /api/ai/events` during failures."""

from collections.abc import Callable

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from aiinfra import live_events, web_stopping
from aiinfra.gateway import event_stream
from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.gateway.connection_slots import ConnectionSlots
from aiinfra.tenants.models import Organization
from tests.api.support import QUEUE, Caller, enqueue_body
from tests.gateway.sse import Event, Events
from tests.gateway.streams import publish_note, ready
from tests.support.processes import free_port


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
    publish_note(organization, "again")
    assert stream.next().data == {"text": "again"}


def test_a_stream_can_start_without_redis(
    listen: Callable[..., Events], program: Caller, organization: Organization, settings: Settings
) -> None:
    url, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}/0"
    stream = listen(program)
    assert stream.next().name == "interrupted"
    settings.REDIS_URL = url
    assert [event.name for event in stream.take(2)] == ["ready", "reset"]


def test_emptied_redis_causes_a_reset(
    listen: Callable[..., Events], program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    stream = listen(program)
    ready(stream)
    live_events.redis_client().flushall()
    assert stream.next().data == {"reason": "too_old"}
    publish_note(organization, "again")
    assert stream.next().data == {"text": "again"}


def test_a_failed_publish_raises_no_error(program: Caller, organization: Organization, settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    publish_note(organization)
    assert program.post(QUEUE, enqueue_body()).status_code == 202


def test_stopping_server_ends_its_streams(
    listen: Callable[..., Events], program: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = listen(program)
    ready(stream)
    monkeypatch.setattr(web_stopping, "is_stopping", lambda: True)
    assert stream.rest() == [Event("", "end", {"reason": "shutdown"})]


def test_streams_end_without_the_database(
    listen: Callable[..., Events], program: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller may have lost the permissions, which cannot be checked without the database."""

    def fail(_: object) -> None:
        raise OperationalError

    stream = listen(program)
    ready(stream)
    monkeypatch.setattr(event_stream, "current_permissions", fail)
    assert stream.rest() == [Event("", "end", {"reason": "unavailable"})]


def test_client_that_does_not_read_loses_its_slot(
    listen: Callable[..., Events], program: Caller, slots: ConnectionSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "STALLED_S", 0)
    stream = listen(program)
    ready(stream)
    monkeypatch.setattr(ClientSocket, "is_ready", lambda *_: False)
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0)
    publish_note(Organization.objects.get())
    assert stream.rest() == []
    assert slots.taken() == 0


def test_an_invalid_message_is_ignored(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    live_events.redis_client().publish(live_events.CHANNEL, "nonsense")
    publish_note(organization, "sense")
    assert stream.next().data == {"text": "sense"}
