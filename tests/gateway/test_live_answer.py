"""The events between the thread that reads an answer and the thread that sends it."""

import pytest
from pytest_django.fixtures import Settings

from aiinfra.failures import ApiError
from aiinfra.gateway.lane import live_answer
from aiinfra.gateway.lane.live_answer import LiveAnswer
from aiinfra.providers.base import StreamEvent


def event(text: str) -> StreamEvent:
    return StreamEvent("", text, {})


def test_events_are_taken_in_order_until_the_end() -> None:
    answer = LiveAnswer()
    assert answer.take(0) == []
    assert answer.receive(event("a"))
    assert answer.receive(event("b"))
    answer.end()
    assert answer.take(0) == [event("a"), event("b")]
    assert answer.take(0) is None


@pytest.mark.parametrize(("drain_s", "reads_on"), [(60.0, True), (0.0, False)])
def test_answer_without_a_client_is_read_for_the_drain_time(settings: Settings, drain_s: float, reads_on: bool) -> None:
    settings.STREAM_DRAIN_S = drain_s
    answer = LiveAnswer()
    answer.receive(event("a"))
    answer.leave()
    assert answer.receive(event("b")) is reads_on
    assert answer.take(0) == []


def test_slow_client_loses_its_stream_but_not_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_answer, "UNREAD_CHARACTERS_MAX", 3)
    answer = LiveAnswer()
    assert [answer.receive(event("ab")), answer.receive(event("cd")), answer.receive(event("e"))] == [True] * 3
    with pytest.raises(ApiError, match="fast enough"):
        answer.take(0)
