import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import template
from tests.support.template import Template


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with one row that is only in its write-ahead log."""
    path = tmp_path / "database"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    return path


def numbers(database: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT number FROM kept").fetchall()


def test_a_copy_has_the_data_of_the_template(database: Path, tmp_path: Path) -> None:
    path, copy = tmp_path / "cache" / "new.sqlite3", tmp_path / "copy"
    first = Template(path)
    first.begin(copy)
    assert not copy.exists()
    first.keep(database)
    Template(path).begin(copy)
    assert numbers(copy) == [(7,)]


def test_a_new_template_replaces_the_old_one(database: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for leftover in ("old.sqlite3", "template.new"):
        (cache / leftover).write_text("left by a process that was killed")
    template = Template(cache / "new.sqlite3")
    template.begin(tmp_path / "copy")
    template.keep(database)
    assert sorted(each.name for each in cache.iterdir()) == ["new.sqlite3", "template.lock"]


def test_a_concurrent_process_waits_for_the_template_and_copies_it(database: Path, tmp_path: Path) -> None:
    path, copy = tmp_path / "new.sqlite3", tmp_path / "copy"
    first, second = Template(path), Template(path)
    first.begin(copy)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.begin, copy)
        assert not waiting.done()
        first.keep(database)
        waiting.result()
    assert numbers(copy) == [(7,)]


def test_changed_code_gets_a_new_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(template.GIVEN, raising=False)
    monkeypatch.setattr(template, "ROOT", tmp_path)
    code = tmp_path / "cost_app" / "migrations" / "0001_initial.py"
    code.parent.mkdir(parents=True)
    code.write_text("old")
    before = template.template_path()
    code.write_text("new")
    assert template.template_path() != before
