"""Waiting threads are replaced without starting a new thread for each wait."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from aiinfra.stack.web.threads import SPARE, Threads
from tests.support.processes import wait_until


class Counted(Threads):
    """Counts started threads."""

    started = 0

    def start_new_thread(self, target: Callable[..., Any], thread_no: int) -> None:
        self.started += 1
        super().start_new_thread(target, thread_no)


@pytest.fixture
def threads() -> Iterator[Counted]:
    """A pool of two threads."""
    fresh = Counted(2)
    yield fresh
    fresh.shutdown(timeout=60)
    assert not fresh.threads


def test_consecutive_waits_reuse_one_thread(threads: Counted) -> None:
    for _ in range(20):
        with threads.replaced():
            pass
    assert threads.started == 3


def test_many_waiting_threads_are_replaced_and_only_a_few_are_kept(threads: Counted) -> None:
    with ExitStack() as waits:
        for _ in range(20):
            waits.enter_context(threads.replaced())
        assert threads.started == len(threads.threads) == 22
    wait_until(lambda: len(threads.threads) == 2 + SPARE, "the other threads to end")
