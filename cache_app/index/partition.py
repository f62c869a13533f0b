"""One partition in memory, and the changes that arrive while its rows are rebuilt."""

import threading
from collections.abc import Iterable

from cache_app.index.rows import Rows
from cache_app.index.sync import Change, parsed

OVERHEAD = 2_000
"""Bytes that a partition takes besides its rows, measured; many have a single row."""


class Partition:
    """Rows that answer, and possibly a replacement in progress. Not thread-safe: the index locks around it.

    `is_stale` means that changes were missed: the rows answer until new ones are ready.
    """

    def __init__(self, key: tuple[int, str], rows: Rows, *, is_stale: bool = False) -> None:
        self.key = key
        self.rows = rows
        self.is_stale = is_stale
        self.is_left_to_thread = False
        self.weight = 0
        self._arrived: list[Change] | None = None
        self._ready: threading.Event | None = None

    @property
    def is_in_making(self) -> bool:
        """Whether new rows are being built."""
        return self._arrived is not None

    def begin(self, *, waited_for: bool = False) -> None:
        """Start collecting the changes that the rows in progress may lack."""
        self._arrived = []
        self.is_stale = False
        self._ready = threading.Event() if waited_for else None

    def finish(self, rows: Rows) -> None:
        """New rows are ready: apply the collected changes and answer from them."""
        changes, self._arrived = self._arrived or [], None
        self.rows = rows
        self.apply(changes)
        self.let_go()

    def give_up(self) -> None:
        """No new rows are coming: another caller must start again."""
        self._arrived = None
        self.is_stale = True
        self.let_go()

    def let_go(self) -> None:
        """Release the waiting threads, with the rows that there are."""
        if self._ready:
            self._ready.set()
            self._ready = None

    def wait(self, seconds: float) -> None:
        """Wait for rows that are being built, if it is worth waiting. Call it without the lock."""
        ready = self._ready
        if ready:
            ready.wait(seconds)

    def apply(self, changes: Iterable[Change]) -> None:
        """Apply changes, in order."""
        for change in changes:
            if self._arrived is not None:
                self._arrived.append(change)
            if change.dated is None:
                self.rows.remove(change.entry_id)
            else:
                self.rows.add(parsed({change.entry_id.encode(): change.dated}, self.rows.dimensions))

    def reweigh(self) -> int:
        """The growth in bytes since the last call."""
        before, self.weight = self.weight, self.rows.nbytes + OVERHEAD
        return self.weight - before
