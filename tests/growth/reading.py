"""Counts what a statement reads: SQLite's steps, or the rows scanned by PostgreSQL's plan."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

STEPS_AT_ONCE = 100
LIMIT = {"sqlite": 60_000, "postgresql": 4_000}
"""Steps of SQLite's virtual machine (at least five per scanned row), and rows: a fraction of `history.ROWS`."""
Parameters = Sequence[Any] | None


@dataclass(frozen=True)
class Statement:
    """One statement of a job with its parameters."""

    sql: str
    parameters: Parameters


@contextmanager
def recorded(found: dict[str, Statement]) -> Iterator[None]:
    """Collect every statement that reads or changes rows, once per text."""

    def record(execute: Callable[..., Any], sql: str, parameters: Parameters, many: bool, context: Any) -> Any:
        if not many and sql.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            found.setdefault(sql, Statement(sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(record):
        yield


def reads_of(statement: Statement) -> tuple[int, str]:
    """(steps or rows, the plan) of a statement. Its changes are rolled back."""
    with transaction.atomic():
        try:
            return _of_sqlite(statement) if connection.vendor == "sqlite" else _of_postgresql(statement)
        finally:
            transaction.set_rollback(True)


def _of_sqlite(statement: Statement) -> tuple[int, str]:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += STEPS_AT_ONCE
        return 0

    raw: sqlite3.Connection = connection.connection
    with connection.cursor() as cursor:
        raw.set_progress_handler(count, STEPS_AT_ONCE)
        try:
            cursor.execute(statement.sql, statement.parameters)
            cursor.fetchall()
        finally:
            raw.set_progress_handler(None, 0)
        cursor.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters)
        return steps, "\n".join(row[3] for row in cursor.fetchall())


def _of_postgresql(statement: Statement) -> tuple[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement.sql}", statement.parameters)
        (plan,) = cursor.fetchone()[0]
    return _rows(plan["Plan"]), json.dumps(plan["Plan"], indent=1)


def _rows(node: dict[str, Any]) -> int:
    """The rows that the plan's scans returned or filtered out."""
    below = sum(_rows(each) for each in node.get("Plans", []))
    if not node["Node Type"].endswith("Scan"):
        return below
    thrown = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
    return below + round((node["Actual Rows"] + thrown) * node["Actual Loops"])
