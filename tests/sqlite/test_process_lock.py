"""The lock between processes: it is fair, its waits are limited, and it is never kept by a process that gave up.

A second `ProcessLock` at the same path stands for another process: file locks belong to whoever opened the file.
"""

import threading
from pathlib import Path

import pytest

from aiinfra.sqlite.process_lock import ProcessLock
from tests.sqlite.file_locks import is_locked
from tests.support.processes import wait_until

LONG_S = 60


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "database")


def test_a_waiting_process_gets_the_lock_as_soon_as_it_is_released(path: str) -> None:
    ours, theirs = ProcessLock(path), ProcessLock(path)
    assert theirs.acquire(0)
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(ours.acquire(LONG_S)))
    waiting.start()
    wait_until(lambda: is_locked(f"{path}-next"), "the waiting process to be next")
    assert not got
    theirs.release()
    waiting.join()
    assert got == [True]
    assert is_locked(f"{path}-gate")
    assert not is_locked(f"{path}-next")


def test_a_process_cannot_overtake_the_next_one(path: str) -> None:
    first, second, third = ProcessLock(path), ProcessLock(path), ProcessLock(path)
    order: list[str] = []

    def come(name: str, lock: ProcessLock) -> None:
        assert lock.acquire(LONG_S)
        order.append(name)
        lock.release()

    assert first.acquire(0)
    threads = [threading.Thread(target=come, args=("second", second))]
    threads[0].start()
    wait_until(lambda: is_locked(f"{path}-next"), "the second process to be next")
    threads += [threading.Thread(target=come, args=(name, lock)) for name, lock in (("third", third), ("first", first))]
    first.release()
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert (order[0], sorted(order)) == ("second", ["first", "second", "third"])


def test_a_lock_that_comes_too_late_is_given_back(path: str) -> None:
    ours, theirs = ProcessLock(path), ProcessLock(path)
    assert theirs.acquire(0)
    assert not ours.acquire(0)
    theirs.release()
    wait_until(lambda: not is_locked(f"{path}-gate"), "the lock to be given back")
    assert theirs.acquire(LONG_S)
    theirs.release()
    assert ours.acquire(LONG_S)


def test_a_second_wait_continues_the_first_one(path: str) -> None:
    """Otherwise, a process that loses patience again and again would be last again, and never be next."""
    ours, theirs = ProcessLock(path), ProcessLock(path)
    assert theirs.acquire(0)
    assert [ours.acquire(0) for _ in range(3)] == [False] * 3
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(ours.acquire(LONG_S)))
    waiting.start()
    wait_until(lambda: ours._is_wanted, "our process to wait again")
    theirs.release()
    waiting.join()
    assert got == [True]
    assert ours._waiter is not None
    ours.release()
    assert ours.acquire(0)


def test_a_lock_that_comes_at_the_last_moment_is_taken(path: str) -> None:
    """A lock that is given between the end of the wait and giving up would otherwise be kept for ever."""
    ours, theirs = ProcessLock(path), ProcessLock(path)
    assert theirs.acquire(0)

    class LastMoment(threading.Semaphore):
        def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: ARG002 - the base class's
            if timeout is None:
                return super().acquire()
            theirs.release()
            wait_until(lambda: not ours._is_awaited, "the lock to be given")
            return False

    ours._given = LastMoment(0)
    assert ours.acquire(0)
    assert is_locked(f"{path}-gate")
