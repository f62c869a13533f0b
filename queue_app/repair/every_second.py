"""What the scheduler checks every second. One statement finds the pending work; usually there is none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import connection

from aiinfra import database_time
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import system_scope
from queue_app.caching.coalescing import ORPHANED_AFTER, settle_orphaned_followers
from queue_app.models import AIRequest
from queue_app.repair.index_repair import COUNT_LIVE, IndexRepair
from queue_app.stats.outcome_counts import count_ended

# Written by hand: building six queries takes longer than running them, second after second. Each condition is that of
# a partial index, so only live rows are read. The order makes SQLite take the index of uncounted requests.
LOOK = """
SELECT
  EXISTS (SELECT 1 FROM requests WHERE status = 'processing' AND lease_until < %s),
  live_rows,
  COALESCE((SELECT 1 FROM requests WHERE NOT counted AND completed_at IS NOT NULL
            ORDER BY organization_id, completed_at LIMIT 1), 0),
  EXISTS (SELECT 1 FROM requests WHERE flight IS NOT NULL AND completed_at < %s)
    OR EXISTS (SELECT 1 FROM requests WHERE status = 'pending' AND leader_id IS NOT NULL)
""".replace("requests", AIRequest._meta.db_table).replace("live_rows", COUNT_LIVE)


@dataclass(frozen=True)
class Waiting:
    """What there is to do, in all organizations. `live` is how many requests the index should have."""

    has_expired_leases: bool
    live: int
    has_uncounted: bool
    may_have_orphans: bool


def look() -> Waiting:
    """One statement, whose cost depends on what is pending or running."""
    now = database_time.now()
    moments = [connection.ops.adapt_datetimefield_value(each) for each in (now, now - ORPHANED_AFTER)]
    with system_scope(), connection.cursor() as cursor:
        cursor.execute(LOOK, moments)
        leases, live, uncounted, orphans = cursor.fetchone()
    return Waiting(bool(leases), int(live), bool(uncounted), bool(orphans))


class EverySecond:
    """Does what is due. A duty that fails does not stop the others; a later second tries it again."""

    def __init__(self, repair: IndexRepair) -> None:
        self._repair = repair

    def run(self) -> None:
        """One look. Raises the errors of an unreachable database or Redis, after everything that needs no Redis."""
        with self._repair.outage.watched():
            one_by_one(self._due(look()), lambda duty: duty())

    def _due(self, waiting: Waiting) -> Iterator[Callable[[], object]]:
        if waiting.has_expired_leases:
            yield self._repair.recover_leases
        if waiting.has_uncounted:
            yield count_ended
        if waiting.may_have_orphans:
            yield settle_orphaned_followers
        yield lambda: self._repair.watch(waiting.live)
