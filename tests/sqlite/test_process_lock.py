"""The lock between processes is fair, its waits are limited, and a process that gave up never keeps it.

A second `ProcessLock` at the same path represents another process, because file locks belong to the open file.
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


def test_waiting_process_gets_the_lock_when_it_is_released(path: str) -> None:
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


def test_process_cannot_overtake_the_next_one(path: str) -> None:
    first, second, third = ProcessLock(path), ProcessLock(path), ProcessLock(path)
    order: list[str] = []

    def lock_once(name: str, lock: ProcessLock) -> None:
        assert lock.acquire(LONG_S)
        order.append(name)
        lock.release()

    assert first.acquire(0)
    threads = [threading.Thread(target=lock_once, args=("second", second))]
    threads[0].start()
    wait_until(lambda: is_locked(f"{path}-next"), "the second process to be next")
    threads += [
        threading.Thread(target=lock_once, args=(name, lock)) for name, lock in (("third", third), ("first", first))
    ]
    first.release()
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert (order[0], sorted(order)) == ("second", ["first", "second", "third"])


def test_lock_granted_too_late_is_released(path: str) -> None:
    ours, theirs = ProcessLock(path), ProcessLock(path)
    assert theirs.acquire(0)
    assert not ours.acquire(0)
    theirs.release()
    wait_until(lambda: not is_locked(f"{path}-gate"), "the lock to be released")
    assert theirs.acquire(LONG_S)
    theirs.release()
    assert ours.acquire(LONG_S)


def test_second_wait_continues_the_first_one(path: str) -> None:
    """Otherwise, a process that times out repeatedly would always be last again."""
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


def test_lock_granted_at_the_timeout_is_kept(path: str) -> None:
    """Otherwise, a lock granted between the timeout and giving up would be kept forever."""
    ours, theirs = ProcessLock(path), ProcessLock(path)
    assert theirs.acquire(0)

    class LastMoment(threading.Semaphore):
        def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: ARG002 - the base class's
            if timeout is None:
                return super().acquire()
            theirs.release()
            wait_until(lambda: not ours._is_awaited, "the lock to be granted")
            return False

    ours._given = LastMoment(0)
    assert ours.acquire(0)
    assert is_locked(f"{path}-gate")
