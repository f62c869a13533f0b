"""`GET /api/ai/events`: limits on the number of streams."""

import gc
from collections.abc import Callable

import pytest

from aiinfra import live_events
from aiinfra.gateway import feed
from aiinfra.gateway.connection_slots import AllSlotsTakenError, ConnectionSlots, OrganizationShareTakenError
from tests.api.support import EVENTS, Caller, refused
from tests.gateway.sse import Events
from tests.gateway.streams import ready
from tests.support.processes import wait_until


def test_any_number_of_listeners_share_one_subscription(
    listen: Callable[..., Events], program: Caller, other_program: Caller
) -> None:
    for caller in (program, program, other_program):
        ready(listen(caller))
    wait_until(lambda: _subscriptions() == 1, "the subscription")
    assert feed.feed.count() == 3


def _subscriptions() -> int:
    return int(live_events.redis_client().pubsub_numsub(live_events.CHANNEL)[0][1])


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


@pytest.mark.django_db(transaction=True)  # closing a response closes the database connection, as on a server
def test_closing_a_stream_frees_its_slot(
    listen: Callable[..., Events], program: Caller, slots: ConnectionSlots
) -> None:
    for _ in range(6):
        response = program.get(EVENTS)
        next(iter(response.streaming_content))
        assert slots.taken() == 1
        response.close()
        assert slots.taken() == 0


def test_an_unread_stream_frees_its_slot(program: Caller, slots: ConnectionSlots) -> None:
    response = program.get(EVENTS)
    assert slots.taken() == 1
    del response
    gc.collect()
    assert slots.taken() == 0


def test_slots_are_limited_and_released() -> None:
    few = ConnectionSlots(4)
    for _ in range(3):
        few.take(1)
    with pytest.raises(OrganizationShareTakenError):
        few.take(1)
    few.take(2)
    with pytest.raises(AllSlotsTakenError):
        few.take(2)
    few.leave(1)
    few.take(1)


def test_an_organization_can_take_the_only_slot() -> None:
    one = ConnectionSlots(1)
    one.take(1)
    with pytest.raises(AllSlotsTakenError):
        one.take(1)
