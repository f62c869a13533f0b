"""Row-level security can be turned on while the server vacuums its tables."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection, transaction

from aiinfra.tenants import row_security
from queue_app.models import RequestContent
from tests.support.processes import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no row-level security"),
]
ROLE = f"aiinfra_vacuumed_{os.getpid()}"


@pytest.fixture
def other() -> Iterator[psycopg.Connection]:
    """A second connection to the test's database."""
    parameters = {**connection.get_connection_params(), "autocommit": True, "cursor_factory": psycopg.Cursor}
    with psycopg.connect(**parameters) as opened:
        yield opened


def test_vacuum_between_two_steps_causes_no_deadlock(
    other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    vacuums: list[Future[object]] = []
    create_policies = row_security.create_policies

    def vacuum_first() -> None:
        vacuums.append(threads.submit(other.execute, f"VACUUM ANALYZE {RequestContent._meta.db_table}"))
        wait_until(lambda: vacuums[0].done() or _is_waiting(other), "the vacuum to end or to block")
        create_policies()

    monkeypatch.setattr(row_security, "create_policies", vacuum_first)
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {ROLE}")
        row_security.protect(ROLE)
        transaction.set_rollback(True)
    vacuums[0].result()


def _is_waiting(other: psycopg.Connection) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s)"
    with connection.cursor() as cursor:
        cursor.execute(query, [other.info.backend_pid])
        return bool(cursor.fetchone()[0])
