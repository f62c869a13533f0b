"""A partition's vectors in memory, and the search through them.

Rows are only appended. A removed or expired row is masked by its expiry until the rows are copied without it. A search
therefore runs without a lock on a snapshot (a `View`) while others add rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache_app.embedding.base import Vector
from cache_app.index.base import Neighbor
from cache_app.index.projection import MANY, SHORTLIST, Projection

BLOCK = 4_096
"""Rows allocated at a time: growing copies nothing and wastes little."""
ROW_OVERHEAD = 250
"""Bytes of a row's ID, its list slot and its dictionary entry, measured."""
GONE = -2.0
"""Below every cosine."""

Floats = NDArray[Any]
Times = NDArray[np.int64]


@dataclass(frozen=True)
class VectorPage:
    """Some vectors (one per row), with their entries' IDs and expiries in ms."""

    ids: Sequence[str]
    vectors: Floats
    expires: Times


@dataclass(frozen=True)
class RowsView:
    """A snapshot of the rows."""

    size: int
    ids: Sequence[str]
    expires: Times
    blocks: tuple[Floats, ...]
    short: tuple[Floats, ...]
    projection: Projection | None

    def nearest(self, query: Vector, count: int, now_ms: int) -> list[Neighbor]:
        """The nearest rows that have not expired, best first."""
        scores = self._scores(query)
        scores[self.expires[: self.size] <= now_ms] = GONE
        if self.projection is None:
            places = _best(scores, count)
            exact = scores[places]
        else:
            places = np.sort(_best(scores, SHORTLIST))
            exact = np.where(scores[places] == GONE, GONE, np.vecdot(self._taken(places), query))
        order = np.argsort(-exact, kind="stable")[:count]
        found = ((self.ids[int(places[i])], float(exact[i])) for i in order)
        return [Neighbor(entry_id, min(score, 1.0)) for entry_id, score in found if score > GONE]

    def gone(self, now_ms: int) -> int:
        """Number of masked rows."""
        return int(np.count_nonzero(self.expires[: self.size] <= now_ms))

    def is_untidy(self, now_ms: int) -> bool:
        """Whether a copy is worth it: half of the rows are gone, or there are too many for the directions."""
        outgrown = self.projection.is_outgrown(self.size) if self.projection else self.size > MANY
        return outgrown or 2 * self.gone(now_ms) > self.size

    def sample(self, size: int) -> Vector:
        """Some rows, evenly spread."""
        step = max(1, self.size // size)
        return self._taken(np.arange(0, self.size, step))

    def pages(self, now_ms: int) -> Iterator[VectorPage]:
        """The rows that have not expired, block by block."""
        for start, block in zip(range(0, self.size, BLOCK), self.blocks, strict=False):
            expires = self.expires[start : min(start + BLOCK, self.size)]
            alive = np.flatnonzero(expires > now_ms)
            yield VectorPage([self.ids[int(start + place)] for place in alive], block[alive], expires[alive])

    def _scores(self, query: Vector) -> Vector:
        """Cosines, or estimates if there is a projection."""
        scores = np.empty(self.size, np.float32)
        asked = query if self.projection is None else self.projection.shortened(query)
        blocks = self.blocks if self.projection is None else self.short
        for start, block in zip(range(0, self.size, BLOCK), blocks, strict=False):
            part = scores[start : start + BLOCK]
            np.vecdot(block[: len(part)], asked, out=part)
        return scores

    def _taken(self, places: NDArray[np.intp]) -> Vector:
        """Rows in ascending order of position, in single precision."""
        number, inside = np.divmod(places, BLOCK)
        parts = [self.blocks[block][inside[number == block]] for block in np.unique(number)]
        taken = np.concatenate(parts) if parts else np.empty((0, 0))
        return taken.astype(np.float32)


def _best(scores: Vector, count: int) -> NDArray[np.intp]:
    if len(scores) <= count:
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - count)[-count:]


class Rows:
    """The vectors. Not thread-safe: the index locks around everything but the use of a View.

    With a projection they are stored in half precision, as in Redis, so nothing is lost.
    """

    def __init__(self, dimensions: int, projection: Projection | None = None) -> None:
        self.dimensions = dimensions
        self.projection = projection
        self._type = np.float16 if projection else np.float32
        self._ids: list[str] = []
        self._where: dict[str, int] = {}
        self._expires: Times = np.zeros(0, np.int64)
        self._blocks: list[Floats] = []
        self._short: list[Floats] = []

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Memory used, including allocated but free rows."""
        arrays = (*self._blocks, *self._short, self._expires)
        return sum(array.nbytes for array in arrays) + ROW_OVERHEAD * len(self._ids)

    def view(self) -> RowsView:
        """A snapshot for a search."""
        blocks, short = tuple(self._blocks), tuple(self._short)
        return RowsView(len(self._ids), self._ids, self._expires, blocks, short, self.projection)

    def add(self, page: VectorPage) -> None:
        """Append vectors. An existing ID is replaced."""
        for entry_id in page.ids:
            self.remove(entry_id)
        start = len(self._ids)
        self._reserve(start + len(page.ids))
        self._expires[start : start + len(page.ids)] = page.expires
        self._fill(start, page.vectors)
        self._where.update(zip(page.ids, range(start, start + len(page.ids)), strict=True))
        self._ids.extend(page.ids)

    def remove(self, entry_id: str) -> None:
        """Mask a vector, if present."""
        place = self._where.pop(entry_id, None)
        if place is not None:
            self._expires[place] = 0

    def _fill(self, start: int, vectors: Floats) -> None:
        done = 0
        while done < len(vectors):
            number, inside = divmod(start + done, BLOCK)
            part = vectors[done : done + BLOCK - inside]
            self._blocks[number][inside : inside + len(part)] = part
            if self.projection:
                self._short[number][inside : inside + len(part)] = self.projection.shortened(part)
            done += len(part)

    def _reserve(self, size: int) -> None:
        if size > len(self._expires):
            self._expires = _grown(self._expires, max(size, 2 * len(self._expires)))
        while size > self._capacity():
            if self._blocks and len(self._blocks[-1]) < BLOCK:
                self._grow_only_block(size)
            else:
                self._append_block(BLOCK if self._blocks else min(size, BLOCK))

    def _capacity(self) -> int:
        return (len(self._blocks) - 1) * BLOCK + len(self._blocks[-1]) if self._blocks else 0

    def _grow_only_block(self, size: int) -> None:
        """Partitions with a single entry are common, so the first block starts small."""
        rows = min(BLOCK, max(size, 2 * len(self._blocks[-1])))
        self._blocks[-1] = _grown(self._blocks[-1], rows)
        if self.projection:
            self._short[-1] = _grown(self._short[-1], rows)

    def _append_block(self, rows: int) -> None:
        self._blocks.append(np.empty((rows, self.dimensions), self._type))
        if self.projection:
            self._short.append(np.empty((rows, self.projection.dimensions), np.float32))


def _grown(array: Floats, rows: int) -> Floats:
    grown = np.empty((rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown
