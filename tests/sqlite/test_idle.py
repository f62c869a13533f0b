"""A waiting thread leaves its connection to the next thread, unless the connection is unusable."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from aiinfra.gateway.waiting_threads import release_connections
from aiinfra.sqlite import idle
from aiinfra.sqlite.base import DatabaseWrapper
from aiinfra.tenants.models import Organization

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has a pool"),
]


@pytest.fixture(autouse=True)
def _no_kept_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discards connections of earlier tests. This thread's connection was opened with other options."""
    connection.close()
    monkeypatch.setattr(idle, "_kept", type(idle._kept)())


@pytest.fixture
def other_file(tmp_path: Path) -> Iterator[DatabaseWrapper]:
    """A connection to a database that the test can replace."""
    path = tmp_path / "database"
    sqlite3.connect(path).close()
    path.touch()
    wrapper = DatabaseWrapper({**connection.settings_dict, "NAME": str(path)}, "other")
    yield wrapper
    wrapper.close()


def run_in_thread(call: Callable[[], Any]) -> Any:
    """Run the call in a new thread, which then releases its connection. Returns the result."""
    results: list[Any] = []

    def run() -> None:
        results.append(call())
        release_connections()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def opened() -> Any:
    """The thread's SQLite connection."""
    connection.ensure_connection()
    return connection.connection


def test_next_thread_gets_a_released_connection() -> None:
    mine = opened()
    release_connections()
    assert connection.connection is None
    assert run_in_thread(opened) is run_in_thread(opened) is opened() is mine


def test_released_connection_sees_later_writes() -> None:
    assert not Organization.objects.exists()
    release_connections()
    Organization.objects.create(slug="a", name="a")
    assert run_in_thread(lambda: Organization.objects.get().slug) == "a"


def test_connection_in_a_transaction_stays_with_its_thread() -> None:
    with transaction.atomic():
        mine = opened()
        release_connections()
        assert opened() is mine


@pytest.mark.parametrize(
    "prepare", [lambda raw: raw.execute("BEGIN"), lambda _: setattr(connection, "errors_occurred", True)]
)
def test_unclean_connection_is_closed(prepare: Callable[[Any], object]) -> None:
    mine = opened()
    prepare(mine)
    release_connections()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        mine.execute("SELECT 1")
    assert opened() is not mine


def test_number_of_kept_connections_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "KEPT_MAX", 1)
    mine, (other, _) = opened(), run_in_thread(lambda: (opened(), None))
    release_connections()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        mine.execute("SELECT 1")
    assert opened() is other


def test_replaced_file_is_opened_again(other_file: DatabaseWrapper) -> None:
    path = Path(other_file.settings_dict["NAME"])
    other_file.ensure_connection()
    first = other_file.connection
    other_file.release()
    shutil.copyfile(path, path.with_name("copy"))
    path.with_name("copy").replace(path)
    other_file.ensure_connection()
    assert other_file.connection is not first


def test_connections_with_different_options_are_not_mixed(
    other_file: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_file.ensure_connection()
    first = other_file.connection
    other_file.release()
    monkeypatch.setitem(other_file.settings_dict, "OPTIONS", {**other_file.settings_dict["OPTIONS"], "timeout": 0.01})
    other_file.ensure_connection()
    assert other_file.connection is not first


def test_forked_process_opens_its_own_connection() -> None:
    opened()
    release_connections()
    child = os.fork()
    if child == 0:
        os._exit(len(idle._kept))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(idle._kept) == 1
