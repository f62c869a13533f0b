"""A migrated PostgreSQL database, created once and copied by each test process (see `tests.support.template`).

The server keeps the newest few, because other checkouts may use it too.
"""

from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

PREFIX = "aiinfra_template_"
KEPT = 4
LOCK = 6_150_427
"""The ID of the advisory lock that protects the creation of templates."""


class PostgresTemplate:
    """Use in one process: `begin`, create the database from the returned template, migrate, then `keep`.

    Processes that start at the same time wait in `begin` while the first one migrates. The lock is released when its
    process ends.
    """

    def __init__(self, server_url: str, fingerprint: str) -> None:
        self.name = f"{PREFIX}{fingerprint}"
        self._url = urlsplit(server_url)._replace(path="/postgres").geturl()
        self._lock = ExitStack()

    def begin(self) -> str | None:
        """The database to copy. If there is none, return None and hold the lock until `keep`."""
        server = self._lock.enter_context(psycopg.connect(self._url, autocommit=True))
        server.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.name]).fetchone():
            return None
        self._lock.close()
        return self.name

    def keep(self, database: str) -> None:
        """Copy the migrated database to the template, unless it exists. The database must have no connections."""
        with self._lock, psycopg.connect(self._url, autocommit=True) as server:
            with suppress(psycopg.errors.DuplicateDatabase):
                server.execute(_statement("CREATE DATABASE {} TEMPLATE {}", self.name, database))
            self._drop_old(server)

    def _drop_old(self, server: psycopg.Connection) -> None:
        newest_first = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid DESC OFFSET %s"
        for (name,) in server.execute(newest_first, [PREFIX, KEPT]).fetchall():
            with suppress(psycopg.errors.ObjectInUse):  # another process is copying it
                server.execute(_statement("DROP DATABASE IF EXISTS {}", name))


def _statement(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))
