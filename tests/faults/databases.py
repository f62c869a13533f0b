"""The databases under test, read with plain SQL: the checks must not share the product's code."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from aiinfra.sqlite.gate import Gate
from tests.support.template import Template, template_path
from tests.support.template_postgres import PostgresTemplate

POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/aiinfra"


class Sqlite:
    """A file in the stack's directory."""

    witness = (
        "CREATE TABLE transitions (number INTEGER PRIMARY KEY, request TEXT, before TEXT, after TEXT)",
        """CREATE TRIGGER witness AFTER UPDATE OF status ON queue_app_airequest WHEN old.status <> new.status
        BEGIN INSERT INTO transitions (request, before, after) VALUES (new.id, old.status, new.status); END""",
    )

    def __init__(self, directory: Path) -> None:
        self._path = directory / "aiinfra.sqlite3"
        self.url = f"sqlite:///{self._path}"

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """Wraps `migrate`, which starts from a copy of an already migrated database."""
        template = Template(template_path())
        template.begin(self._path)
        yield
        template.keep(self._path)

    def can_write(self) -> bool:
        """Whether no process holds the file's lock or its gate."""
        with closing(sqlite3.connect(self._path, timeout=2, isolation_level=None)) as connection:
            try:
                with Gate(str(self._path)).passed(2):
                    connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement. Returns its rows."""
        with closing(sqlite3.connect(self._path, timeout=20)) as connection, connection:
            return connection.execute(sql).fetchall()


class Postgres:
    """A new database on a local server."""

    witness = (
        "CREATE TABLE transitions (number bigserial PRIMARY KEY, request uuid, before text, after text)",
        """CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO transitions (request, before, after) VALUES (new.id, old.status, new.status);
        RETURN new; END $$""",
        """CREATE TRIGGER witness AFTER UPDATE OF status ON queue_app_airequest
        FOR EACH ROW WHEN (old.status <> new.status) EXECUTE FUNCTION witness()""",
    )

    def __init__(self, url: str, template: PostgresTemplate | None) -> None:
        self.url = url
        self._template = template

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """Wraps `migrate`, which starts from a copy of an already migrated database."""
        yield
        if self._template:
            self._template.keep(urlsplit(self.url).path[1:])

    def can_write(self) -> bool:
        """Whether no transaction is left open, which would keep its row locks."""
        time.sleep(1)
        ((open_transactions,),) = self.rows(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '0.9 second'"
        )
        return not open_transactions

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement. Returns its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []


Database = Sqlite | Postgres


def vendors() -> list[str]:
    """Both, or only the one in DATABASE_URL, which `python -m tests` sets."""
    chosen = urlsplit(os.environ.get("DATABASE_URL", "")).scheme
    return [name for name in ("sqlite", "postgres") if chosen in {"", name, name + "ql"}]


def postgres_answers() -> bool:
    """Whether a PostgreSQL server is available."""
    try:
        psycopg.connect(_server("postgres"), connect_timeout=30).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def fresh_postgres(template: PostgresTemplate | None = None) -> Iterator[Postgres]:
    """A new database, empty or copied from the template, which is dropped afterwards."""
    name = f"aiinfra_faults_{os.getpid()}"
    copied = (template and template.begin()) or "template1"
    administer(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {copied}")
    try:
        yield Postgres(_server(name), template)
    finally:
        administer(f"DROP DATABASE {name} WITH (FORCE)")


def postgres_template() -> PostgresTemplate:
    """The template of the migrated database on the server."""
    return PostgresTemplate(_server("postgres"), template_path().stem)


def administer(*statements: str) -> None:
    """Run administrative statements on the server."""
    with psycopg.connect(_server("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def _server(database: str) -> str:
    url = os.environ.get("TEST_DATABASE_URL") or POSTGRES_URL
    return urlsplit(url)._replace(path=f"/{database}").geturl()
