"""Live events through gunicorn, with real connections and a real Redis."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest
from django.db import connection

from aiinfra import live_events
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from tests.api.support import EVENTS, QUEUE, Caller, enqueue_body, new_key
from tests.gateway.sse import Event, Events
from tests.support.processes import wait_until
from tests.support.web import Web

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

READ, UNREAD, AWAY, AFTER = 50, 25, 25, 25
"""Requests per organization and phase. Each sends two events: 250 per organization, 500 in total."""


@contextmanager
def listen(web: Web, key: str, last_event_id: str = "") -> Iterator[Events]:
    headers = {"Authorization": f"Bearer {key}", **({"Last-Event-ID": last_event_id} if last_event_id else {})}
    with (
        httpx2.Client(trust_env=False, timeout=60) as client,
        client.stream("GET", web.url + EVENTS, headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        yield Events(response.iter_bytes())


class Traffic:
    """An organization's requests. Each is accepted and cancelled, so that the order of its events is known."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.key = new_key(organization, Role.OPERATOR)
        self._caller = Caller(key=self.key)
        self.expected: list[tuple[str, str]] = []

    def make(self, number: int) -> None:
        """Send and cancel `number` requests."""
        for _ in range(number):
            request_id = self._caller.post(QUEUE, enqueue_body()).json()["requestId"]
            self._caller.post(QUEUE, {"action": "cancel", "requestId": request_id})
            self.expected += [(request_id, "pending"), (request_id, "cancelled")]


def make_concurrently(traffic: list[Traffic], number: int) -> None:
    """Send requests of all organizations concurrently."""

    def make(each: Traffic) -> None:
        each.make(number)
        connection.close()

    threads = [threading.Thread(target=make, args=(each,)) for each in traffic]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def statuses_of(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.data["requestId"], event.data["status"]) for event in events]


def test_organizations_receive_all_their_events_in_order_across_a_reconnect(
    serve: Callable[..., Web], organization: Organization, other_organization: Organization
) -> None:
    web = serve()
    traffic = [Traffic(organization), Traffic(other_organization)]
    seen: list[list[Event]] = [[], []]
    last_ids = ["", ""]
    with ExitStack() as connections:
        streams = [connections.enter_context(listen(web, each.key)) for each in traffic]
        assert [stream.next().name for stream in streams] == ["ready", "ready"]
        make_concurrently(traffic, READ + UNREAD)
        for number, stream in enumerate(streams):
            seen[number] += stream.take(2 * READ)
            last_ids[number] = stream.last_id
    make_concurrently(traffic, AWAY)
    with ExitStack() as connections:
        streams = [
            connections.enter_context(listen(web, each.key, last_id))
            for each, last_id in zip(traffic, last_ids, strict=True)
        ]
        assert [stream.next().name for stream in streams] == ["ready", "ready"]
        make_concurrently(traffic, AFTER)
        for number, stream in enumerate(streams):
            seen[number] += stream.take(2 * (UNREAD + AWAY + AFTER))
    for each, events in zip(traffic, seen, strict=True):
        assert statuses_of(events) == each.expected
        ids = [live_events.position_of(event.id) for event in events]
        assert ids == sorted(set(ids))
    assert sum(map(len, seen)) == 500


def test_sigterm_ends_streams_without_waiting_for_clients(
    serve: Callable[..., Web], organization: Organization
) -> None:
    """Otherwise, open streams would be cut off without an `end` event after the graceful timeout."""
    web = serve()
    with listen(web, Traffic(organization).key) as stream:
        assert stream.next().name == "ready"
        assert web.stop() == 0
        assert stream.rest() == [Event("", "end", {"reason": "shutdown"})]


def test_pages_are_served_while_all_slots_are_taken_and_a_disconnect_frees_a_slot(
    serve: Callable[..., Web], organization: Organization
) -> None:
    web = serve(WEB_PROCESSES="1", WEB_THREADS="3", EVENT_CLIENTS_MAX="1")
    key = Traffic(organization).key
    with httpx2.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60) as http:
        with listen(web, key) as stream:
            assert stream.next().name == "ready"
            refused = http.get(web.url + EVENTS)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            assert http.get(f"{web.url}/healthz").status_code == 200

        def has_place() -> bool:
            with http.stream("GET", web.url + EVENTS) as it:
                return bool(it.status_code == 200)

        wait_until(has_place, "a free slot")


def test_head_returns_immediately(serve: Callable[..., Web], organization: Organization) -> None:
    web = serve(WEB_PROCESSES="1", EVENT_CLIENTS_MAX="0")
    headers = {"Authorization": f"Bearer {Traffic(organization).key}"}
    answer = httpx2.head(web.url + EVENTS, headers=headers, trust_env=False, timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")
