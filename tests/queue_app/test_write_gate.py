"""Slots limit how many threads of a worker write at once, but never block one for long."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from queue_app.processing import outcomes, provider_call, write_gate
from queue_app.processing.provider_call import process
from queue_app.processing.write_gate import AT_ONCE, slot
from tests.queue_app.conftest import ScriptedProvider, answer
from tests.queue_app.outcomes import Claimed


def test_limited_number_of_threads_write_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_gate, "PATIENCE_S", 60)
    inside, most, lock = 0, 0, threading.Lock()

    def book(_number: int) -> None:
        nonlocal inside, most
        with slot():
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.001)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(book, range(100)))
    assert (most, inside) == (AT_ONCE, 0)


def test_a_hung_thread_does_not_block_others() -> None:
    hung, others = threading.Event(), []

    def hang() -> None:
        with slot():
            hung.wait(60)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in range(AT_ONCE):
            threads.submit(hang)
        with slot():
            others.append("went on")
        hung.set()
    assert others == ["went on"]


def test_a_failed_booking_frees_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_gate, "PATIENCE_S", 0)
    for _ in range(AT_ONCE + 1):
        try:
            with slot():
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    assert all(write_gate._turns.acquire(blocking=False) for _ in range(AT_ONCE))
    for _ in range(AT_ONCE):
        write_gate._turns.release()


@pytest.mark.usefixtures("scoped")
def test_a_request_takes_a_slot_for_its_writes_and_none_for_its_call(
    claimed: Claimed, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[str, int]] = []
    dispatch, complete = provider_call.dispatch, outcomes.complete

    def note(step: str) -> None:
        taken.append((step, AT_ONCE - write_gate._turns._value))

    monkeypatch.setattr(provider_call, "dispatch", lambda claim: (note("dispatch"), dispatch(claim))[1])
    monkeypatch.setattr(outcomes, "complete", lambda *arguments: (note("complete"), complete(*arguments))[1])
    provider.script = [lambda _attempt: (note("call"), answer())[1]]
    process(claimed())
    assert taken == [("dispatch", 1), ("call", 0), ("complete", 1)]
