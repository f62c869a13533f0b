"""The default index: each process keeps the vectors of the partitions that it uses in matrices.

A lookup first reads, in one round trip, what any process has changed since the last read, so it finds everything
written before it. The first lookup loads a small partition itself; a thread loads a large one, and until then lookups
answer from what is available. A partition that is being loaded or copied collects arriving changes and applies them at
the end: applying one twice does no harm.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from redis import RedisError

from cache_app.embedding.base import Vector
from cache_app.index import building
from cache_app.index.base import Neighbor
from cache_app.index.partition import Partition
from cache_app.index.rows import Rows, RowsView
from cache_app.index.sync import ChangeBatch, Cursor, parsed, read_changes, read_pages, read_tail

logger = logging.getLogger(__name__)

SMALL = 5_000
"""Maximum rows for which a lookup loads or copies a partition itself."""
ATTEMPTS = 5
WAIT_S = 0.5
"""How long a lookup waits for another one that is loading its partition."""

Key = tuple[int, str]


@dataclass(eq=False)
class Followed:
    """An organization whose changes are read, and its partitions in memory."""

    cursor: Cursor
    partitions: set[str] = field(default_factory=set)


class MatrixIndex:
    """See the module. Above `max_bytes` the least recently used partition is evicted."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._followed: dict[int, Followed] = {}
        self._partitions: OrderedDict[Key, Partition] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory used by the partitions."""
        return self._bytes

    def nearest(self, organization_id: int, partition: str, vector: Vector, count: int = 3) -> list[Neighbor]:
        """See VectorIndex. Raises RedisError."""
        for _ in range(ATTEMPTS):
            synced = self._synced((organization_id, partition), len(vector))
            if synced:
                here, now_ms = synced
                return self._search(here, vector, count, now_ms)
        return []

    def _search(self, here: Partition, vector: Vector, count: int, now_ms: int) -> list[Neighbor]:
        with self._lock:
            rows = here.rows
            view = rows.view()
        if rows.dimensions != len(vector):
            return []
        found = view.nearest(vector, count, now_ms)
        self._keep_tidy(here, view, now_ms)
        return found

    def _synced(self, key: Key, dimensions: int) -> tuple[Partition, int] | None:
        """The partition with all changes, and Redis's time in ms. None if a rebuild came in between: try again."""
        organization_id, partition = key
        followed = self._follow(organization_id)
        with self._lock:
            start = followed.cursor
            here, is_mine = self._claim(key, dimensions, followed)
        try:
            batch = read_changes(organization_id, start, partition if is_mine else None)
            if not self._apply_all(organization_id, followed, start, batch):
                return None
            if is_mine and not self._load(here, batch):
                return None
        finally:
            if is_mine:
                self._release(here)
        here.wait(WAIT_S)
        return here, batch.now_ms

    def _follow(self, organization_id: int) -> Followed:
        """Registered before anything is loaded, so that no change in between is missed."""
        followed = self._followed.get(organization_id)
        if followed:
            return followed
        tail = read_tail(organization_id)
        with self._lock:
            return self._followed.setdefault(organization_id, Followed(tail))

    def _claim(self, key: Key, dimensions: int, followed: Followed) -> tuple[Partition, bool]:
        """The partition, and whether the caller must load it."""
        here = self._partitions.get(key)
        if here is None:
            here = self._partitions[key] = Partition(key, Rows(dimensions))
            followed.partitions.add(key[1])
            here.begin(waited_for=True)
            return here, True
        self._partitions.move_to_end(key)
        if here.is_stale:
            here.begin()
            self._in_background(here, lambda: building.load_rows(*key, dimensions))
        return here, False

    def _apply_all(self, organization_id: int, followed: Followed, start: Cursor, batch: ChangeBatch) -> bool:
        """Apply what was read, and read on while there is more. False if it did not continue from `start`."""
        while True:
            with self._lock:
                if self._followed.get(organization_id) is not followed:
                    return False
                if batch.broken:
                    if followed.cursor is start:
                        self._restart(organization_id, followed, batch.cursor)
                    return False
                self._apply(organization_id, followed, batch)
            if not batch.more:
                return True
            start = batch.cursor
            batch = read_changes(organization_id, start)

    def _apply(self, organization_id: int, followed: Followed, batch: ChangeBatch) -> None:
        """Another thread may have applied some of the changes first."""
        known = followed.cursor.number
        for change in batch.changes:
            here = self._partitions.get((organization_id, change.partition))
            if here and change.number > known:
                here.apply([change])
                self._bytes += here.reweigh()
        if batch.cursor.number > known:
            followed.cursor = batch.cursor

    def _restart(self, organization_id: int, followed: Followed, tail: Cursor) -> None:
        """Changes were lost. Large partitions answer with what they have until they are reloaded."""
        self._followed[organization_id] = restarted = Followed(tail)
        for partition in followed.partitions:
            old = self._partitions.pop((organization_id, partition))
            self._bytes -= old.weight
            if len(old.rows) > SMALL:
                here = self._partitions[old.key] = Partition(old.key, old.rows, is_stale=True)
                restarted.partitions.add(partition)
                self._bytes += here.reweigh()

    def _load(self, here: Partition, batch: ChangeBatch) -> bool:
        """Build the rows, or start building them. False if the partition was abandoned in the meantime."""
        organization_id, partition = here.key
        dimensions = here.rows.dimensions
        if batch.rows > SMALL:
            here.let_go()
            self._in_background(here, lambda: building.load_rows(organization_id, partition, dimensions))
            return True
        rest = read_pages(organization_id, partition, batch.scan) if batch.scan else ()
        pages = (parsed(page, dimensions) for page in chain([batch.page], rest))
        return self._replace(here, building.build_rows(pages, batch.rows, dimensions))

    def _release(self, here: Partition) -> None:
        """Discard what its loader left half done."""
        with self._lock:
            here.let_go()
            if here.is_in_making and not here.is_left_to_thread and self._partitions.get(here.key) is here:
                self._drop(here)

    def _replace(self, here: Partition, rows: Rows) -> bool:
        with self._lock:
            if self._partitions.get(here.key) is not here:
                return False
            here.finish(rows)
            self._bytes += here.reweigh()
            self._make_room(here)
        return True

    def _make_room(self, newest: Partition) -> None:
        for old in list(self._partitions.values()):
            if self._bytes <= self._max_bytes:
                return
            if old is not newest and not old.is_in_making:
                self._drop(old)

    def _drop(self, old: Partition) -> None:
        del self._partitions[old.key]
        self._bytes -= old.weight
        organization_id, partition = old.key
        followed = self._followed[organization_id]
        followed.partitions.discard(partition)
        if not followed.partitions:
            del self._followed[organization_id]

    def _keep_tidy(self, here: Partition, view: RowsView, now_ms: int) -> None:
        """Copy the rows without expired ones, or with new directions, if it is worth it."""
        if here.is_in_making or not view.is_untidy(now_ms):
            return
        with self._lock:
            if here.is_in_making:
                return
            here.begin()
            view = here.rows.view()
        make = partial(building.compact_rows, view, now_ms, here.rows.dimensions)
        if view.size > SMALL:
            self._in_background(here, make)
        else:
            self._replace(here, make())

    def _in_background(self, here: Partition, make: Callable[[], Rows]) -> None:
        here.is_left_to_thread = True
        threading.Thread(target=self._make, args=(here, make), daemon=True).start()

    def _make(self, here: Partition, make: Callable[[], Rows]) -> None:
        try:
            self._replace(here, make())
        except RedisError:
            logger.info("partition not loaded: Redis is not responding", exc_info=True)
        finally:
            with self._lock:
                if here.is_in_making:
                    here.give_up()
