"""Cache invalidation across processes: tells every process that what it has cached for an organization may be stale.

Each organization, and the installation, has an epoch in Redis: a random string that is replaced after a change is
committed. The command that counts a request against the rate limits reads it too, so it costs no extra round trip. A
cached value (`aiinfra.timed_cache`) is valid only in the epoch in which its rows were read.

If Redis loses an epoch or is unreachable when it changes, cached values still expire after `LOST_S` seconds. A request
that can't read the epoch because Redis is down reads the rows.
"""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from django.db import transaction
from redis.exceptions import RedisError

from aiinfra.redis import redis_client

logger = logging.getLogger(__name__)

LOST_S = 2.0
"""The longest that a change can go unnoticed if its epoch could not be written to Redis."""
PREFIX = "{limits}:"
"""The rate limits' hash tag, because their script reads the epochs."""
INSTALLATION = 0
Word = tuple[str | None, ...]
"""What is compared: the epochs of the installation and of the organization."""


@dataclass
class Request:
    """The epochs that the current request has read."""

    began: float = field(default_factory=time.monotonic)
    words: dict[int, Word] = field(default_factory=dict)


_request: ContextVar[Request | None] = ContextVar("epochs_request", default=None)
_is_alone: ContextVar[bool] = ContextVar("epochs_is_alone", default=False)
_numbers = count(1)
_last_change: dict[int, int] = {}
"""The number of this process's last change, by owner, including uncommitted ones."""


@contextmanager
def request() -> Iterator[None]:
    """Treat the block as one request: values read since it began are fresh enough for it."""
    token = _request.set(Request())
    try:
        yield
    finally:
        _request.reset(token)


@contextmanager
def alone() -> Iterator[None]:
    """Declare that no other process runs during the block, so changes need not be published."""
    token = _is_alone.set(True)
    try:
        yield
    finally:
        _is_alone.reset(token)


def current_request() -> Request | None:
    """The current request; None in jobs, commands and pages."""
    return _request.get()


def key_of(owner_id: int) -> str:
    """The Redis key of an owner's epoch."""
    return f"{PREFIX}epoch:{owner_id}"


def keys_of(organization_id: int) -> list[str]:
    """The Redis keys whose values `learn` takes."""
    return [key_of(INSTALLATION), key_of(organization_id)]


def learn(organization_id: int, words: list[str | None]) -> None:
    """Remember the values of `keys_of` for the rest of the request. Call it before reading rows."""
    if (running := _request.get()) is not None:
        running.words = {INSTALLATION: (words[0],), organization_id: tuple(words)}


def now() -> int:
    """A number higher than that of any change this process has made so far."""
    return next(_numbers)


def is_changed(owner_id: int, since: int) -> bool:
    """Whether this process has changed the organization, or the installation, after `now` returned that number."""
    return max(_last_change.get(owner_id, 0), _last_change.get(INSTALLATION, 0)) > since


def change(organization_id: int | None) -> None:
    """Record a change of an organization, or of the installation for None. Call it in the change's transaction.

    The commit invalidates what any process has cached for it. A change of the installation affects all organizations.
    """
    owner_id = organization_id or INSTALLATION
    _last_change[owner_id] = next(_numbers)
    transaction.on_commit(partial(_announce, owner_id))


def _announce(owner_id: int) -> None:
    _last_change[owner_id] = next(_numbers)
    try:
        redis_client().set(key_of(owner_id), secrets.token_hex(8))
    except RedisError:
        if not _is_alone.get():
            logger.warning("other processes notice changes only after %s s", LOST_S, extra={"fields": {"of": owner_id}})
