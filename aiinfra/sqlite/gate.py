"""A fair gate in front of SQLite's only write lock.

Writers that find the lock taken sleep and try again, and SQLite lets any of them pass first: with 4 processes of 12
threads, some waited for seconds. At the gate, the threads of a process queue in order of arrival. The first of each
process then queues for two file locks: whoever holds the first one is next, so a process that has just written can't
overtake the others. The file locks end with their process, however it ends.

The gate only saves time. SQLite's own lock still guards the data, also against programs that don't know the gate. So a
process that is frozen at the gate can't stop the others: they time out and rely on SQLite's lock alone.
"""

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from aiinfra.sqlite.process_lock import ProcessLock

TURNS = 8
"""Threads of a process that write one after another before it is another process's turn: threads change faster."""
TIMEOUT_S = 2.0
"""How long a process waits for the others at the gate."""
TIMEOUT_AFTER_EXPIRY_S = 0.1
"""The same after a timeout, until it gets in again: several turns of a busy gate."""
LOCKED = "database is locked"
"""What SQLite says after the same wait."""


class Gate:
    """The gate of one database file in this process."""

    def __init__(self, path: str) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()
        self._lock = ProcessLock(path)
        self._turns = 0
        self._timeout_s = TIMEOUT_S

    @contextmanager
    def passed(self, timeout_s: float) -> Iterator[None]:
        """Run the block inside; raises as `enter`."""
        self.enter(timeout_s)
        try:
            yield
        finally:
            self.leave()

    def enter(self, timeout_s: float) -> None:
        """Wait until no one else writes, or until another process has held the gate for too long.

        Raises sqlite3.OperationalError, as a locked database does, if the threads of this process need more time.
        """
        if not self._take(timeout_s):
            raise sqlite3.OperationalError(LOCKED)
        try:
            if not self._turns:
                self._lock_out_others(timeout_s)
            self._turns += 1
        except BaseException:
            self._hand_over()
            raise

    def leave(self) -> None:
        """Let the next one in: another thread, or after `TURNS` of them another process."""
        self._hand_over()

    def forget(self) -> None:
        """After a fork: the files, and the locks on them, belong to the parent."""
        self._lock.forget()

    def _take(self, timeout_s: float) -> bool:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        return turn.acquire(timeout=timeout_s) or not self._give_up(turn)

    def _give_up(self, turn: threading.Lock) -> bool:
        """False if it became this thread's turn at the last moment."""
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return True
            return False

    def _hand_over(self) -> None:
        with self._guard:
            if self._turns and (not self._waiting or self._turns >= TURNS):
                self._turns = 0
                self._lock.release()
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False

    def _lock_out_others(self, timeout_s: float) -> None:
        try:
            is_inside = self._lock.acquire(min(timeout_s, self._timeout_s))
        except OSError as error:
            raise sqlite3.OperationalError(f"unable to open {error.filename}: {error.strerror}") from error
        self._timeout_s = TIMEOUT_S if is_inside else TIMEOUT_AFTER_EXPIRY_S


_gates: dict[str, Gate] = {}


def gate_of(path: str) -> Gate:
    """This process's gate of a database file."""
    return _gates.get(path) or _gates.setdefault(path, Gate(path))


def _forget_all() -> None:
    for gate in _gates.values():
        gate.forget()
    _gates.clear()


os.register_at_fork(after_in_child=_forget_all)
