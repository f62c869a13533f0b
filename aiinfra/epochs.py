"""Tells every process at once that what it remembers of an organization may be outdated.

Each organization, and the installation, has an epoch in Redis: a random word that is replaced after the commit of a
change. The command that counts a request against the rate limits reads it too, so it costs no round trip. What a
process remembers (`aiinfra.timed_cache`) holds in the epoch in which its rows were read.

If Redis loses an epoch or cannot be told, what is remembered still ends after `LOST_S` seconds. A request that learns
no epoch, because Redis is away, reads the rows.
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
"""The longest that a change can go unnoticed, if its epoch did not reach Redis."""
PREFIX = "{limits}:"
"""The hash tag of the rate limits, whose script reads the epochs."""
INSTALLATION = 0
Word = tuple[str | None, ...]
"""What must be equal: the epoch of the installation, and of the organization."""


@dataclass
class Request:
    """What the running request knows of epochs."""

    began: float = field(default_factory=time.monotonic)
    words: dict[int, Word] = field(default_factory=dict)


_request: ContextVar[Request | None] = ContextVar("epochs_request", default=None)
_is_alone: ContextVar[bool] = ContextVar("epochs_is_alone", default=False)
_numbers = count(1)
_last_change: dict[int, int] = {}
"""The number of the last change that this process made, by owner. Those of a transaction that has not ended count."""


@contextmanager
def request() -> Iterator[None]:
    """The block is one request: what was read since it began is fresh enough for it."""
    token = _request.set(Request())
    try:
        yield
    finally:
        _request.reset(token)


@contextmanager
def alone() -> Iterator[None]:
    """In this block no other process of the installation runs, so it's no problem if none hears of a change."""
    token = _is_alone.set(True)
    try:
        yield
    finally:
        _is_alone.reset(token)


def current_request() -> Request | None:
    """The running request; None in jobs, commands and pages."""
    return _request.get()


def key_of(owner_id: int) -> str:
    """The key of one epoch in Redis."""
    return f"{PREFIX}epoch:{owner_id}"


def keys_of(organization_id: int) -> list[str]:
    """The keys in Redis whose values `learn` takes."""
    return [key_of(INSTALLATION), key_of(organization_id)]


def learn(organization_id: int, words: list[str | None]) -> None:
    """Keep what Redis has for `keys_of`, for the rest of the request. Rows are read after this."""
    if (running := _request.get()) is not None:
        running.words = {INSTALLATION: (words[0],), organization_id: tuple(words)}


def now() -> int:
    """A number that is above those of all changes so far by this process."""
    return next(_numbers)


def is_changed(owner_id: int, since: int) -> bool:
    """Whether this process has changed the organization, or the installation, after `now` returned that number."""
    return max(_last_change.get(owner_id, 0), _last_change.get(INSTALLATION, 0)) > since


def change(organization_id: int | None) -> None:
    """An organization, or for None the installation, is changed: call it in the transaction of the change.

    What any process remembers of it ends with the commit. A change of the installation concerns all organizations.
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
