"""Live events through the real web server: gunicorn's processes, real connections, a real Redis."""

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
"""Requests of each organization, each with two events: 250 events, and 500 of both."""


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
    """One organization's requests: each is accepted and cancelled, so that its events have an order."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.key = new_key(organization, Role.OPERATOR)
        self._caller = Caller(key=self.key)
        self.expected: list[tuple[str, str]] = []

    def make(self, number: int) -> None:
        """So many requests."""
        for _ in range(number):
            request_id = self._caller.post(QUEUE, enqueue_body()).json()["requestId"]
            self._caller.post(QUEUE, {"action": "cancel", "requestId": request_id})
            self.expected += [(request_id, "pending"), (request_id, "cancelled")]


def make_at_once(traffic: list[Traffic], number: int) -> None:
    """Requests of all organizations side by side."""

    def make(each: Traffic) -> None:
        each.make(number)
        connection.close()

    threads = [threading.Thread(target=make, args=(each,)) for each in traffic]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.data["requestId"], event.data["status"]) for event in events]


def test_two_organizations_each_see_all_of_their_own_events_in_order_across_a_reconnect(
    serve: Callable[..., Web], organization: Organization, other_organization: Organization
) -> None:
    web = serve()
    traffic = [Traffic(organization), Traffic(other_organization)]
    seen: list[list[Event]] = [[], []]
    last_ids = ["", ""]
    with ExitStack() as connections:
        streams = [connections.enter_context(listen(web, each.key)) for each in traffic]
        assert [stream.next().name for stream in streams] == ["ready", "ready"]
        make_at_once(traffic, READ + UNREAD)
        for number, stream in enumerate(streams):
            seen[number] += stream.take(2 * READ)
            last_ids[number] = stream.last_id
    make_at_once(traffic, AWAY)
    with ExitStack() as connections:
        streams = [
            connections.enter_context(listen(web, each.key, last_id))
            for each, last_id in zip(traffic, last_ids, strict=True)
        ]
        assert [stream.next().name for stream in streams] == ["ready", "ready"]
        make_at_once(traffic, AFTER)
        for number, stream in enumerate(streams):
            seen[number] += stream.take(2 * (UNREAD + AWAY + AFTER))
    for each, events in zip(traffic, seen, strict=True):
        assert told(events) == each.expected
        ids = [live_events.position_of(event.id) for event in events]
        assert ids == sorted(set(ids))
    assert sum(map(len, seen)) == 500


def test_sigterm_ends_the_streams_and_does_not_wait_for_their_clients(
    serve: Callable[..., Web], organization: Organization
) -> None:
    """Streams that do not end by themselves are cut off after the graceful time-out, without a word."""
    web = serve()
    with listen(web, Traffic(organization).key) as stream:
        assert stream.next().name == "ready"
        assert web.stop() == 0
        assert stream.rest() == [Event("", "end", {"reason": "shutdown"})]


def test_pages_are_answered_while_all_places_are_taken_and_a_client_that_leaves_gives_its_place_back(
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

        wait_until(has_place, "the place")


def test_head_is_answered_at_once(serve: Callable[..., Web], organization: Organization) -> None:
    web = serve(WEB_PROCESSES="1", EVENT_CLIENTS_MAX="0")
    headers = {"Authorization": f"Bearer {Traffic(organization).key}"}
    answer = httpx2.head(web.url + EVENTS, headers=headers, trust_env=False, timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")
