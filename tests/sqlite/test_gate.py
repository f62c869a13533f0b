"""The gate admits writers in order, is released when its process dies, and limits each wait.

A second `Gate` of the same file represents another process, because file locks belong to the open file.
"""

import fcntl
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiinfra.sqlite.gate import TURNS, Gate
from aiinfra.sqlite.process_lock import SUFFIXES
from tests.sqlite.file_locks import is_locked
from tests.support.processes import ROOT, wait_until

LONG_S = 60


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "database")


@contextmanager
def queue_of(gate: Gate, count: int, passed: list[int]) -> Iterator[None]:
    """Threads that wait at a taken gate in the order of their numbers. At the end, all have passed."""

    def pass_by(number: int) -> None:
        with gate.passed(LONG_S):
            passed.append(number)

    threads = [threading.Thread(target=pass_by, args=(number,)) for number in range(count)]
    for number, thread in enumerate(threads, 1):
        thread.start()
        wait_until(lambda number=number: len(gate._waiting) == number, "the thread to wait")  # type: ignore[misc]
    yield
    for thread in threads:
        thread.join()


def test_threads_pass_in_the_order_of_their_arrival(path: str) -> None:
    gate, passed = Gate(path), list[int]()
    gate.enter(LONG_S)
    with queue_of(gate, 20, passed):
        gate.leave()
    assert passed == list(range(20))


def test_another_process_gets_its_turn_while_threads_wait(path: str) -> None:
    ours, theirs, passed = Gate(path), Gate(path), list[int]()
    entered_after = []

    def enter_once() -> None:
        with theirs.passed(LONG_S):
            entered_after.append(len(passed))

    other = threading.Thread(target=enter_once)
    ours.enter(LONG_S)
    with queue_of(ours, 5 * TURNS, passed):
        other.start()
        wait_until(lambda: is_locked(f"{path}-next"), "the other process to be next")
        ours.leave()
    other.join()
    assert entered_after == [TURNS - 1]


def test_wait_within_a_process_is_limited(path: str) -> None:
    gate = Gate(path)
    gate.enter(LONG_S)
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        gate.enter(0.01)
    gate.leave()
    with gate.passed(0):
        pass


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_process_stuck_at_the_gate_does_not_stop_others(path: str, suffix: str) -> None:
    gate = Gate(path)
    with Path(f"{path}{suffix}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for _ in range(2 * TURNS):
            with gate.passed(0):
                pass
    with gate.passed(LONG_S):
        assert is_locked(f"{path}-gate")


def test_timed_out_waiter_is_skipped(path: str) -> None:
    gate, passed = Gate(path), list[int]()
    gate.enter(LONG_S)
    with queue_of(gate, 1, passed):
        with pytest.raises(sqlite3.OperationalError):
            gate.enter(0.01)
        assert len(gate._waiting) == 1
        gate.leave()
    assert passed == [0]
    with gate.passed(0):
        pass


def test_turn_granted_at_the_timeout_is_kept(path: str) -> None:
    """Otherwise, a turn handed over between the timeout and giving up would be lost for everyone."""
    gate = Gate(path)
    gate.enter(LONG_S)
    turn = threading.Lock()
    gate._waiting.append(turn)
    turn.acquire()
    gate.leave()
    assert not gate._give_up(turn)


def test_unopenable_gate_raises_a_database_error(tmp_path: Path) -> None:
    gate = Gate(str(tmp_path / "missing" / "database"))
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="No such file"):
            gate.enter(LONG_S)


ENTER_AND_STAY = """
import sys, threading
from aiinfra.sqlite.gate import Gate
gate = Gate(sys.argv[1])
gate.enter(60)
print("inside", flush=True)
threading.Event().wait()
"""


def test_gate_of_a_killed_process_is_released(path: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENTER_AND_STAY, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout and process.stdout.readline() == "inside\n"
        assert is_locked(f"{path}-gate")
        process.send_signal(signal.SIGKILL)
    assert not is_locked(f"{path}-gate")


FORK_INSIDE = """
import os, sys
from aiinfra.sqlite.gate import gate_of
with gate_of(sys.argv[1]).passed(60):
    child = os.fork()
    if not child:
        with gate_of(sys.argv[1]).passed(0):
            os._exit(0)
    os.waitpid(child, 0)
    print("inside", flush=True)
    sys.stdin.read()
"""


def test_forked_process_does_not_release_its_parents_gate(path: str) -> None:
    command = [sys.executable, "-c", FORK_INSIDE, path]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "inside\n"
        assert is_locked(f"{path}-gate")


def test_gate_files_are_private(path: str) -> None:
    with Gate(path).passed(0):
        assert [Path(f"{path}{suffix}").stat().st_mode & 0o777 for suffix in SUFFIXES] == [0o600, 0o600]
