"""One partition in memory, and the changes that arrive while its rows are made anew."""

import threading
from collections.abc import Iterable

from cache_app.index.rows import Rows
from cache_app.index.sync import Change, parsed

OVERHEAD = 2_000
"""Bytes that a partition takes beside its rows, measured; many have a single row."""


class Partition:
    """Rows that answer, and perhaps others in the making. Not safe between threads: the index locks around it.

    `is_stale` says that changes have been missed: the rows answer until new ones have been made.
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
        """Whether new rows are on their way."""
        return self._arrived is not None

    def begin(self, *, waited_for: bool = False) -> None:
        """From now on collect the changes that the rows in the making may lack."""
        self._arrived = []
        self.is_stale = False
        self._ready = threading.Event() if waited_for else None

    def finish(self, rows: Rows) -> None:
        """New rows are made: bring them up to date and answer from them."""
        changes, self._arrived = self._arrived or [], None
        self.rows = rows
        self.apply(changes)
        self.let_go()

    def give_up(self) -> None:
        """No new rows are coming: somebody must begin again."""
        self._arrived = None
        self.is_stale = True
        self.let_go()

    def let_go(self) -> None:
        """Let those who wait go on, with what there is."""
        if self._ready:
            self._ready.set()
            self._ready = None

    def wait(self, seconds: float) -> None:
        """Until the rows have been made, if somebody is about it and it is worth waiting; without the lock."""
        ready = self._ready
        if ready:
            ready.wait(seconds)

    def apply(self, changes: Iterable[Change]) -> None:
        """Take over changes, in their order."""
        for change in changes:
            if self._arrived is not None:
                self._arrived.append(change)
            if change.dated is None:
                self.rows.remove(change.entry_id)
            else:
                self.rows.add(parsed({change.entry_id.encode(): change.dated}, self.rows.dimensions))

    def reweigh(self) -> int:
        """How many bytes it takes more than when this was asked last."""
        before, self.weight = self.weight, self.rows.nbytes + OVERHEAD
        return self.weight - before
