"""The turn of a request in the queue whose client is on a connection of this process, which makes the call itself."""

import logging
import time

from redis.exceptions import RedisError

from aiinfra.failures import DATABASE_AWAY
from aiinfra.one_by_one import AWAY
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest
from queue_app.ordering import claims, turns
from queue_app.ordering.index import IndexEntry
from queue_app.processing.direct import DirectCall, worker_name
from queue_app.processing.dispatching import start
from queue_app.submission.intake import enter

logger = logging.getLogger(__name__)


class Turn:
    """Waits for one request's turn. Once `has_come`, `start` or `give_up` must follow.

    `is_awaited` says whether the next claim is handed over, as far as this object knows.
    """

    def __init__(self, request: AIRequest) -> None:
        self._request = request
        self._entry: IndexEntry | None = None
        self._look_at = 0.0
        self.is_awaited = False

    def has_come(self, *, is_news: bool) -> bool:
        """Whether it is the request's turn. Looks if `is_news`, and several times in the time that a wait is kept."""
        if self._entry is None and (is_news or time.monotonic() >= self._look_at):
            self._look_at = time.monotonic() + turns.kept_s() / 3
            self.is_awaited = True
            try:
                self._entry = turns.handed_over(self._request.id)
            except RedisError:
                logger.info("Redis is down; a worker may take the request when its turn comes")
        return self._entry is not None

    def start(self) -> DirectCall | None:
        """The started call, which must be run. None if it is not made now: the request has ended, or waits again."""
        entry, self._entry = self._entry, None
        self.is_awaited = self.is_awaited and entry is None
        try:
            started = start(entry, worker_name()) if entry else None
        except DATABASE_AWAY:
            logger.warning("request not started; index repair returns it to the queue", exc_info=True)
            return None
        return DirectCall(started=started) if started else None

    def give_up(self) -> None:
        """Leave the request to the workers: its client does not wait for it any longer."""
        try:
            if entry := self._entry or turns.give_up(self._request.id):
                _give_back(entry)
        except AWAY:
            logger.warning("request not returned to the queue; index repair returns it to the queue", exc_info=True)


def _give_back(entry: IndexEntry) -> None:
    """Return a claimed request to its place in the queue."""
    with organization_scope(entry.organization_id):
        claims.release(entry)
        if request := claims.pending(entry):
            enter(request)
