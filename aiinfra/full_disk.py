"""Whether the disk of the database is full, so that errors, probes, and reports can name this cause.

SQLite's file is on a disk of this host, whose free space is read. PostgreSQL has its own disk: it counts as full for a
while after it has refused a write of this process for this reason.
"""

import os
import time
from pathlib import Path

from django.conf import settings
from django.db import connection

FULL = "the database has no disk space left"
ROOM_BYTES = 4 * 1024 * 1024
"""SQLite's write-ahead log grows by this much before its pages are copied into the database."""
REMEMBERED_S = 10.0

_refused_at = -REMEMBERED_S


def note_refusal() -> None:
    """PostgreSQL has refused a write because its disk is full."""
    global _refused_at
    _refused_at = time.monotonic()


def is_full() -> bool:
    """Whether the database cannot store more, as far as this process can tell. Costs no query."""
    if connection.vendor != "sqlite":
        return time.monotonic() - _refused_at < REMEMBERED_S
    try:
        disk = os.statvfs(Path(settings.DATABASES["default"]["NAME"]).parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM_BYTES
