import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import template


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with one row, which is still in its write-ahead log."""
    path = tmp_path / "database"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    return path


def test_a_copy_has_what_the_template_was_made_of(database: Path, tmp_path: Path) -> None:
    kept, copy = tmp_path / "cache" / "new.sqlite3", tmp_path / "copy"
    template.keep(database, kept)
    template.begin_with(kept, copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]


def test_a_new_template_takes_the_place_of_the_old_one(database: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "old.sqlite3").touch()
    template.keep(database, tmp_path / "cache" / "new.sqlite3")
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["new.sqlite3"]


def test_without_a_template_there_is_nothing_to_copy(tmp_path: Path) -> None:
    template.begin_with(tmp_path / "none.sqlite3", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_changed_code_has_another_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(template.GIVEN, raising=False)
    monkeypatch.setattr(template, "ROOT", tmp_path)
    code = tmp_path / "cost_app" / "migrations" / "0001_initial.py"
    code.parent.mkdir(parents=True)
    code.write_text("old")
    before = template.template()
    code.write_text("new")
    assert template.template() != before
