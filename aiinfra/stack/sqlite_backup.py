"""Backs up the SQLite database while the product runs, and restores it while it is stopped."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader

from aiinfra.fsync import fsync

PAGES_AT_ONCE = 1_000
"""Pages copied at a time, which bounds how long writers wait."""
BESIDE = ("-wal", "-shm")


class BackupError(Exception):
    """Nothing was changed; the message says why."""


def back_up(target: Path) -> int:
    """Copy the database to a new file that only this user can read, and check the copy. Returns its size in bytes.

    Raises BackupError.
    """
    source = database_path()
    if target.exists():
        raise BackupError(f"{target} already exists")
    with _finished_file(target) as unfinished:
        _copy(source, unfinished)
        check(unfinished)
    return target.stat().st_size


def restore(backup: Path) -> Path | None:
    """Put a checked copy of the backup in the database's place. Returns where the previous database is kept, if any.

    The product must be stopped. Raises BackupError.
    """
    target = database_path()
    check(backup)
    connections.close_all()
    _check_unused(target)
    with _finished_file(target, replaces=True) as unfinished:
        _copy(backup, unfinished)
        check(unfinished)
        return _set_aside(target)


def database_path() -> Path:
    """The database's file. Raises BackupError for PostgreSQL."""
    if connection.vendor != "sqlite":
        raise BackupError("This command is for SQLite. Use pg_dump or continuous archiving for PostgreSQL")
    return Path(connection.settings_dict["NAME"]).resolve()


def check(file: Path) -> None:
    """Raises BackupError unless the file is an intact database of this release or an earlier one."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            (verdict,) = opened.execute("PRAGMA integrity_check").fetchone()
            applied = set(opened.execute("SELECT app, name FROM django_migrations"))
    except sqlite3.Error as error:
        raise BackupError(f"{file} is not a database of aiinfra: {error}") from error
    if verdict != "ok":
        raise BackupError(f"{file} is damaged: {verdict}")
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations or {}
    ours = {app for app, _ in known}
    if newer := sorted(name for name in applied - set(known) if name[0] in ours):
        raise BackupError(f"{file} belongs to a newer release: this one does not know {'.'.join(newer[0])}")


def _copy(source: Path, target: Path) -> None:
    """SQLite's backup API: the copy is of one moment, whatever is written during it."""
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing, pages=PAGES_AT_ONCE, sleep=0.01)
            writing.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}") from error


@contextmanager
def _finished_file(target: Path, *, replaces: bool = False) -> Iterator[Path]:
    """A new file that gets the target's name once it is complete and on the disk."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    try:
        yield unfinished
        fsync(unfinished)
        if replaces:
            unfinished.replace(target)
        else:
            os.link(unfinished, target)  # fails if someone has created the target by now
        fsync(target.parent)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _check_unused(database: Path) -> None:
    """The last connection to close removes the write-ahead log. If it remains, the database is still in use."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database)) as opened:
            opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        return  # damaged, which is a reason to restore
    if database.with_name(f"{database.name}-wal").exists():
        raise BackupError("Another process uses the database: stop aiinfra first")


def _set_aside(database: Path) -> Path | None:
    if not database.exists():
        return None
    kept = database.with_name(f"{database.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    database.rename(kept)
    for suffix in BESIDE:
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + suffix))
    return kept
