"""`manage.py backup` and `manage.py restore`, including a restore drill that ends with `reconcile --strict`."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from aiinfra.stack import sqlite_backup
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from cost_app.models import LedgerEntry
from cost_app.prices import lookup as pricebook
from queue_app import create_ai_request_queue
from queue_app.models import AIRequest
from tests.support.processes import ROOT

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the commands are for SQLite"),
]
MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture(autouse=True)
def _temporary_data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def restore_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the database that `restore` replaces, instead of the test database."""
    path = tmp_path / "restored" / "aiinfra.sqlite3"
    monkeypatch.setattr(sqlite_backup, "database_path", lambda: path)
    monkeypatch.setattr(sqlite_backup.connections, "close_all", lambda: None)
    return path


def back_up(tmp_path: Path) -> Path:
    output = StringIO()
    call_command("backup", str(tmp_path / "copy.sqlite3"), stdout=output)
    assert "checked" in output.getvalue()
    return tmp_path / "copy.sqlite3"


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as opened:
        return int(opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def test_a_restored_backup_reconciles(
    tmp_path: Path, organization: Organization, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pricebook.add_shipped_prices()
    usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    create_cost_optimizer().track_request("north", "openai", "gpt-4", usage, {})
    create_ai_request_queue().enqueue("openai", "gpt-4", MESSAGES, organization_id="north")
    copy = back_up(tmp_path)
    with system_scope():
        create_ai_request_queue().enqueue("openai", "gpt-4", MESSAGES, organization_id="north")
        requests, entries = AIRequest.objects.count() - 1, LedgerEntry.objects.count()
    restored = tmp_path / "restored" / "aiinfra.sqlite3"
    monkeypatch.setattr(sqlite_backup, "database_path", lambda: restored)
    monkeypatch.setattr(sqlite_backup.connections, "close_all", lambda: None)
    call_command("restore", str(copy), stdout=StringIO())
    assert (count(restored, "queue_app_airequest"), count(restored, "cost_app_ledgerentry")) == (requests, entries)
    assert entries
    env = {"DATABASE_URL": f"sqlite:///{restored}", "REDIS_URL": redis_url, "AIINFRA_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "reconcile", "--strict"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=True, timeout=120)


def test_a_backup_is_private_and_does_not_overwrite_a_file(tmp_path: Path) -> None:
    copy = back_up(tmp_path)
    assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.read_bytes()
    with pytest.raises(CommandError, match="already exists"):
        call_command("backup", str(copy))
    assert copy.read_bytes() == before
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_restore_keeps_the_previous_database(tmp_path: Path, restore_target: Path) -> None:
    sqlite_backup_source = tmp_path / "copy.sqlite3"
    _copy_of_tests(sqlite_backup_source)
    restore_target.parent.mkdir()
    with closing(sqlite3.connect(restore_target)) as opened:
        opened.execute("CREATE TABLE old (id)")
    output = StringIO()
    call_command("restore", str(sqlite_backup_source), stdout=output)
    (kept,) = restore_target.parent.glob("*.before-*")
    assert str(kept) in output.getvalue()
    assert count(kept, "old") == 0
    assert count(restore_target, "django_migrations")


def test_a_database_in_use_is_not_replaced(tmp_path: Path, restore_target: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    _copy_of_tests(copy)
    restore_target.parent.mkdir()
    with closing(sqlite3.connect(restore_target)) as user:
        user.execute("PRAGMA journal_mode=WAL")
        user.execute("CREATE TABLE in_use (id)")
        with pytest.raises(CommandError, match="stop aiinfra first"):
            call_command("restore", str(copy))
    assert count(restore_target, "in_use") == 0


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\0" * 5000])
def test_an_invalid_backup_is_not_restored(tmp_path: Path, restore_target: Path, content: bytes) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(content)
    with pytest.raises(CommandError, match=r"is not a database of aiinfra|is damaged"):
        call_command("restore", str(wrong))
    assert not restore_target.exists()


def test_a_damaged_backup_is_not_restored(tmp_path: Path, restore_target: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    _copy_of_tests(copy)
    data = bytearray(copy.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = os.urandom(20_000)
    copy.write_bytes(data)
    with pytest.raises(CommandError, match=r"is not a database of aiinfra|is damaged"):
        call_command("restore", str(copy))
    assert not restore_target.exists()


def test_a_backup_of_a_newer_release_is_not_restored(tmp_path: Path, restore_target: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    _copy_of_tests(copy)
    with closing(sqlite3.connect(copy)) as opened:
        opened.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('queue_app', '9999_new', '2030')")
        opened.commit()
    with pytest.raises(CommandError, match=r"newer release: .* queue_app\.9999_new"):
        call_command("restore", str(copy))
    assert not restore_target.exists()


def _copy_of_tests(target: Path) -> None:
    sqlite_backup._copy(Path(connection.settings_dict["NAME"]), target)
