"""A fair lock between processes, with a timeout: one of them holds it at a time, and it ends with its process.

It consists of two file locks. Whoever holds the first one is next, so a process that has just released the lock can't
overtake the others. `flock` can't be limited in time, and polling it takes 30 us of CPU each time. Therefore, a thread
waits in it, and whoever wants the lock waits for that thread.
"""

import fcntl
import os
import threading

SUFFIXES = ("-next", "-gate")
"""Of the two files, which stay empty."""


class ProcessLock:
    """The lock of this process at one path. One thread at a time may acquire it; any thread may release it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._files: tuple[int, int] | None = None
        self._guard = threading.Lock()
        self._is_wanted = False
        self._is_awaited = False
        self._waiter: threading.Thread | None = None
        self._asked = threading.Semaphore(0)
        self._given = threading.Semaphore(0)

    def acquire(self, timeout_s: float) -> bool:
        """Whether this process got the lock in time. Raises OSError if its files can't be opened or locked."""
        with self._guard:
            if not self._is_awaited:
                if self._try():
                    return True
                self._ask()
            self._is_wanted = True
        if self._given.acquire(timeout=timeout_s):
            return True
        with self._guard:
            was_given, self._is_wanted = not self._is_wanted, False
        return was_given and self._given.acquire()

    def release(self) -> None:
        """Let another process have the lock. Does nothing if this one doesn't have it."""
        fcntl.flock(self._open()[1], fcntl.LOCK_UN)

    def forget(self) -> None:
        """After a fork: the files, and the locks on them, belong to the parent."""
        for file in self._files or ():
            os.close(file)
        self._files = None

    def _try(self) -> bool:
        """Take the lock if it is free; otherwise, be next if nobody is."""
        is_next, gate = self._open()
        try:
            fcntl.flock(is_next, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(is_next, fcntl.LOCK_UN)
        return True

    def _ask(self) -> None:
        if self._waiter is None:
            self._waiter = threading.Thread(target=self._wait, name="process lock", daemon=True)
            self._waiter.start()
        self._is_awaited = True
        self._asked.release()

    def _wait(self) -> None:
        is_next, gate = self._open()
        while self._asked.acquire():
            fcntl.flock(is_next, fcntl.LOCK_EX)
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(is_next, fcntl.LOCK_UN)
            with self._guard:
                self._is_awaited = False
                if self._is_wanted:
                    self._is_wanted = False
                    self._given.release()
                else:
                    fcntl.flock(gate, fcntl.LOCK_UN)

    def _open(self) -> tuple[int, int]:
        if self._files is None:
            is_next, gate = (os.open(f"{self._path}{each}", os.O_RDWR | os.O_CREAT, 0o600) for each in SUFFIXES)
            self._files = is_next, gate
        return self._files
