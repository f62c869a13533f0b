"""A database of an earlier version keeps its data when it is migrated.

`stored.sql` was written by the product at cost_app 0005: budgets, tracked and queued calls, a cache hit and an alert.
One tag ends with a space, which later versions do not distinguish from the name without it.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT

STORED = Path(__file__).with_name("stored.sql").read_text()
SPACED, NORMAL = "Search Team ", "Search Team"
MOVED = {
    "cost_app_modelprice": "long_",  # now steps in `long_prompts`
    "cost_app_priceproposal": "long_",
    "tenants_organization": "currency",  # every amount is in US dollars
}
"""Table -> name prefix of removed columns."""
CHANGED = {
    ("cost_app_costpolicy", "usage_time_zone"),
    ("cost_app_budget", "scope_value"),
    ("tenants_apikey", "scopes"),  # permissions that every key had implicitly are now listed
}
Rows = dict[object, dict[str, object]]


def manage(database: Path, *arguments: str) -> str:
    """The output of a management command."""
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{database}", "AIINFRA_DATA_DIR": str(database.parent)}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def rows_of(connection: sqlite3.Connection, table: str) -> Rows:
    """The rows of a table by primary key."""
    cursor = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a table of the dump
    names = [column[0] for column in cursor.description]
    key = next(row[1] for row in connection.execute(f'PRAGMA table_info("{table}")') if row[5])
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {row[key]: row for row in rows}


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored database after `manage.py migrate`."""
    database = tmp_path_factory.mktemp("upgrade") / "aiinfra.sqlite3"
    connection = sqlite3.connect(database)
    connection.executescript(STORED)
    connection.close()
    manage(database, "migrate", "--skip-checks", "--verbosity", "0")
    return database


@pytest.fixture
def before() -> Iterator[sqlite3.Connection]:
    """The stored database before the upgrade."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(STORED)
    yield connection
    connection.close()


@pytest.fixture
def after(upgraded: Path) -> Iterator[sqlite3.Connection]:
    """The upgraded database."""
    connection = sqlite3.connect(upgraded)
    yield connection
    connection.close()


def test_every_row_keeps_its_values(before: sqlite3.Connection, after: sqlite3.Connection) -> None:
    tables = before.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    compared = 0
    for (table,) in tables:
        old, new = rows_of(before, table), rows_of(after, table)
        assert old.keys() <= new.keys(), table
        for key, row in old.items():
            gone = row.keys() - new[key].keys()
            assert all(name.startswith(MOVED.get(table, "-")) for name in gone), (table, gone)
            same = {name for name in row.keys() - gone if (table, name) not in CHANGED}
            assert {name: row[name] for name in same} == {name: new[key][name] for name in same}, (table, key)
            compared += 1
    assert compared > 300


def test_prices_of_long_prompts_move_into_steps(before: sqlite3.Connection, after: sqlite3.Connection) -> None:
    old, new = rows_of(before, "cost_app_modelprice"), rows_of(after, "cost_app_modelprice")
    stepped = [key for key, row in old.items() if row["long_context_from"] is not None]
    assert stepped
    for key in stepped:
        for name in ("long_context_from", "long_input", "long_output"):
            assert str(old[key][name]) in str(new[key]["long_prompts"])
    assert all(new[key]["long_prompts"] in ("[]", None) for key in old.keys() - set(stepped))


def test_a_budget_s_tag_is_normalized(before: sqlite3.Connection, after: sqlite3.Connection) -> None:
    names = "SELECT scope_value FROM cost_app_budget WHERE scope = 'tag'"
    assert before.execute(names).fetchall() == [(SPACED,)]
    assert after.execute(names).fetchall() == [(NORMAL,)]


def test_costs_reconcile_after_the_upgrade(upgraded: Path) -> None:
    manage(upgraded, "rebuild_rollups")
    assert "no discrepancies" in manage(upgraded, "reconcile", "--strict")
    connection = sqlite3.connect(upgraded)
    tags = connection.execute("SELECT value, nano FROM cost_app_usageday WHERE dimension = 'tag' ORDER BY value")
    assert (NORMAL, 1_002_940) in tags.fetchall()
    connection.close()
