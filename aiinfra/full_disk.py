"""Detects that the database's disk is full, so that errors, probes, and reports can say so.

For SQLite, this reads the free space on this host. PostgreSQL has its own disk, which counts as full for a while after
it refuses a write for this reason. Refusals are shared through Redis, because some writes still fit when others don't.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import connection
from redis.exceptions import RedisError

from aiinfra.redis import redis_client

FULL = "the database has no disk space left"
ROOM_BYTES = 4 * 1024 * 1024
"""SQLite's write-ahead log grows by this much before its pages are copied into the database."""
REMEMBERED_S = 10.0
PUBLISH_EVERY_S = 1.0
KEY = "aiinfra:full_disk"

_refused_at = -REMEMBERED_S
_published_at = -PUBLISH_EVERY_S


def note_refusal() -> None:
    """Record that the database refused a write because its disk is full. Published to Redis once per second."""
    global _refused_at, _published_at
    _refused_at = time.monotonic()
    if _refused_at - _published_at >= PUBLISH_EVERY_S:
        _published_at = _refused_at
        with suppress(RedisError):
            redis_client().set(KEY, 1, px=round(REMEMBERED_S * 1000))


def refused_s_ago() -> float | None:
    """Seconds since any process recorded a refusal; None if there was none in the last `REMEMBERED_S` seconds.

    At most one Redis command. Without Redis, only this process's own refusals are known.
    """
    ago = time.monotonic() - _refused_at
    if ago >= PUBLISH_EVERY_S:
        with suppress(RedisError):
            left_ms = redis_client().pttl(KEY)
            ago = min(ago, REMEMBERED_S - left_ms / 1000) if left_ms > 0 else ago
    return ago if ago < REMEMBERED_S else None


def is_full() -> bool:
    """Whether the database's disk is full, as far as this process knows. No query."""
    if connection.vendor != "sqlite":
        return refused_s_ago() is not None
    try:
        disk = os.statvfs(Path(settings.DATABASES["default"]["NAME"]).parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM_BYTES
