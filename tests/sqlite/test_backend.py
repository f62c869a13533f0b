"""Writers pass the gate and leave it however their transaction ends; readers do not wait."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from aiinfra.sqlite.base import DatabaseWrapper
from aiinfra.sqlite.gate import Gate, gate_of
from aiinfra.tenants.models import Membership, Organization
from tests.sqlite.file_locks import is_locked

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the gate is SQLite's"),
]


def own_gate() -> Gate:
    """This process's gate."""
    return gate_of(os.path.realpath(connection.settings_dict["NAME"]))


def is_free() -> bool:
    """Whether another process could pass the gate now."""
    return not is_locked(f"{os.path.realpath(connection.settings_dict['NAME'])}-gate")


@pytest.fixture
def without_lock_timeout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connection that does not wait for locks."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.01)
    yield
    connection.close()


@pytest.fixture
def other_writer() -> Iterator[Gate]:
    """Another process inside the gate."""
    gate = Gate(os.path.realpath(connection.settings_dict["NAME"]))
    with gate.passed(60):
        yield gate


def write(slug: str = "a") -> None:
    Organization.objects.create(slug=slug, name=slug)


def test_transaction_is_inside_the_gate_until_its_commit() -> None:
    with transaction.atomic():
        assert not is_free()
        with transaction.atomic():
            write()
        assert not is_free()
    assert is_free()


def test_rolled_back_transaction_leaves_the_gate() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write()
        raise ZeroDivisionError
    assert is_free()


def test_transaction_that_fails_to_commit_leaves_the_gate() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        write()
        Membership(organization_id=999, user_id=999, role="owner").save(force_insert=True)  # fails at the COMMIT
        has_written = True
    assert has_written
    assert is_free()
    assert not Organization.objects.exists()


def test_closing_the_connection_leaves_the_gate() -> None:
    with transaction.atomic():
        write()
        connection.close()
        assert is_free()
    assert not Organization.objects.exists()


def test_transaction_that_fails_to_begin_leaves_the_gate(without_lock_timeout: None) -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked"), transaction.atomic():
            pass
    assert is_free()
    write()


def test_statement_outside_a_transaction_passes_and_leaves_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[float] = []
    monkeypatch.setattr(own_gate(), "enter", lambda timeout: passed.append(timeout))
    monkeypatch.setattr(own_gate(), "leave", lambda: passed.append(0))
    write()
    Organization.objects.update(name="b")
    Organization.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.executemany(" insert INTO tenants_organization SELECT * FROM tenants_organization WHERE id = %s", [(1,)])
    assert passed == [connection.settings_dict["OPTIONS"]["timeout"], 0] * 4


def test_process_stuck_at_the_gate_does_not_stop_writers(without_lock_timeout: None, other_writer: Gate) -> None:
    write("a")
    with transaction.atomic():
        write("b")
    assert Organization.objects.count() == 2


def test_reader_does_not_wait(without_lock_timeout: None, other_writer: Gate) -> None:
    assert not Organization.objects.exists()
    assert list(Organization.objects.all()) == []


def test_second_connection_of_a_thread_is_refused_without_side_effects(without_lock_timeout: None) -> None:
    second = connections["default"].copy()
    with transaction.atomic():
        write()
        with second.cursor() as cursor, pytest.raises(OperationalError, match="database is locked"):
            cursor.execute("UPDATE tenants_organization SET name = 'x'")
    second.close()
    assert Organization.objects.get().name == "a"
    assert is_free()


def test_concurrent_writers_all_succeed() -> None:
    def run(number: int) -> None:
        for turn in range(10):
            with transaction.atomic():
                write(f"{number}-{turn}")
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Organization.objects.count() == 80
    assert is_free()


def test_in_memory_database_has_no_gate() -> None:
    settings: dict[str, Any] = {**connection.settings_dict, "NAME": ":memory:", "OPTIONS": {}}
    memory = DatabaseWrapper(settings, "memory")
    with memory.cursor() as cursor:
        cursor.execute("CREATE TABLE t (x)")
        cursor.execute("INSERT INTO t VALUES (%s)", [1])
        cursor.execute("SELECT x FROM t WHERE x = %(one)s", {"one": 1})
        assert cursor.fetchall() == [(1,)]
    memory.connection.close()
