"""Exports that are written to a directory on a schedule."""

import csv
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.notifications import channels
from aiinfra.notifications.models import Delivery
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance import scheduled_exports as module
from cost_app.finance.scheduled_exports import deliver_due, path_of, write_file
from cost_app.ledger.rollups import fold
from cost_app.models import ExportDelivery
from tests.cost_app.finance.conftest import NOW, Book, at

Browser = Callable[[User], Client]


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.EXPORT_DIRECTORY = tmp_path / "exports"
    return tmp_path / "exports"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    def advance_clock(by: timedelta) -> None:
        monkeypatch.setattr(timezone, "now", lambda: NOW + by)

    return advance_clock


def files(folder: Path) -> dict[str, int]:
    """The number of rows by path of the file."""
    return {
        str(path.relative_to(folder)): len(list(csv.reader(path.read_text().splitlines()))) - 1
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_organization_gets_the_files_of_its_recent_months(
    folder: Path, book: Book, other_organization: Organization
) -> None:
    book(at(9, 5), 1, input_tokens=1)  # ended more than 32 days ago
    book(at(10, 20), 2, input_tokens=1)
    book(at(11, 5), 3, input_tokens=1)
    book(at(11, 5), 4, input_tokens=1, organization=other_organization)
    fold()
    deliver_due()
    assert files(folder) == {
        "north/focus_2026-10-01.csv": 1,
        "north/focus_2026-11-01.csv": 1,
        "north/ledger_2026-10-01.csv": 1,
        "north/ledger_2026-11-01.csv": 1,
        "north/statement_2026-10-01.csv": 5,
        "north/statement_2026-11-01.csv": 5,
        "south/focus_2026-11-01.csv": 1,
        "south/ledger_2026-11-01.csv": 1,
        "south/statement_2026-11-01.csv": 5,
    }
    assert "0.000000004" not in (folder / "north/ledger_2026-11-01.csv").read_text()
    assert stat.S_IMODE((folder / "north/ledger_2026-11-01.csv").stat().st_mode) == 0o640


def test_due_file_is_rewritten_with_later_entries(folder: Path, book: Book, clock: Callable[[timedelta], None]) -> None:
    book(at(11, 5), 3, input_tokens=1)
    fold()
    deliver_due()
    path = folder / "north/ledger_2026-11-01.csv"
    first = path.read_bytes()
    path.unlink()
    deliver_due()
    assert not path.exists()  # not due
    clock(timedelta(hours=24))
    deliver_due()
    assert path.read_bytes() == first
    book(at(11, 6), 4, input_tokens=1)
    fold()
    clock(timedelta(hours=48))
    deliver_due()
    assert files(folder)["north/ledger_2026-11-01.csv"] == 2


def test_nothing_is_written_without_a_directory(settings: Settings, book: Book, organization: Organization) -> None:
    settings.EXPORT_DIRECTORY = None
    book(at(11, 5), 3)
    fold()
    deliver_due()
    with organization_scope(organization.pk):
        assert not ExportDelivery.objects.exists()


def test_failure_is_reported_once_shown_and_retried(
    folder: Path, book: Book, organization: Organization, finance: User, client_of: Browser,
    clock: Callable[[timedelta], None],
) -> None:  # fmt: skip
    with organization_scope(organization.pk):
        channels.add_channel(
            organization_id=organization.pk, kind="webhook", name="ops", target="https://example.com/hook",
            min_severity="low", actor="user:owner",
        )  # fmt: skip
    book(at(11, 5), 3)
    fold()
    folder.mkdir()
    (folder / "north").write_text("a file where the folder should be")
    for minutes in (0, 5, 10):
        clock(timedelta(minutes=minutes))
        deliver_due()
    with organization_scope(organization.pk):
        titles = [delivery.payload["title"] for delivery in Delivery.objects.order_by("pk")]
        assert {row.error for row in ExportDelivery.objects.all()} == {"File exists"}
    assert titles == [
        f"The scheduled {kind} file of November 2026 was not written at {organization}"
        for kind in ("focus", "ledger", "statement")
    ]
    page = client_of(finance).get(reverse("finance_exports")).text
    assert "failed" in page
    assert "File exists" in page
    (folder / "north").unlink()
    clock(timedelta(minutes=20))
    deliver_due()
    page = client_of(finance).get(reverse("finance_exports")).text
    assert "File exists" not in page
    assert "ledger_2026-11-01.csv" in page


@pytest.mark.parametrize("slug", ["..", "a/b", "/etc", "", ".", "a\0b", "x" * 64])
def test_slug_cannot_escape_the_directory(tmp_path: Path, slug: str) -> None:
    with pytest.raises(ValueError, match="a real directory"):
        path_of(tmp_path, slug, "ledger.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_symlinked_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "north").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="a real directory"):
        path_of(tmp_path, "north", "ledger.csv")


def test_failed_write_keeps_the_old_file_and_removes_its_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    write_file(path, ["a"], [["=1"], [2]])
    assert path.read_text().splitlines() == ["a", "'=1", "2"]

    def broken() -> object:
        yield [1]
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_file(path, ["a"], broken())  # type: ignore[arg-type]
    assert path.read_text().splitlines() == ["a", "'=1", "2"]
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.csv"]


def test_temporary_files_of_killed_processes_are_removed_after_a_day(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    old, recent, other = (tmp_path / name for name in (".ledger.csv.a.tmp", ".ledger.csv.b.tmp", ".focus.csv.c.tmp"))
    for temporary, hours in ((old, 25), (recent, 1), (other, 25)):
        temporary.touch()
        moment = (NOW - timedelta(hours=hours)).timestamp()
        os.utime(temporary, (moment, moment))
    write_file(path, ["a"], [])
    assert sorted(each.name for each in tmp_path.iterdir()) == [".focus.csv.c.tmp", ".ledger.csv.b.tmp", "ledger.csv"]


def test_command_writes_due_files_or_all_files(folder: Path, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book(at(11, 5), 3)
    fold()
    assert "north/ledger_2026-11-01.csv: " in _run()
    assert _run("north") == ""
    assert len(_run("north", again=True).splitlines()) == 3
    with pytest.raises(CommandError, match="unknown organization"):
        _run("nobody")
    monkeypatch.setattr(module, "write_file", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CommandError, match="3 files were not written"):
        _run("north", again=True)


def _run(*arguments: str, **options: bool) -> str:
    output = StringIO()
    call_command("deliver_exports", *arguments, stdout=output, **options)
    return output.getvalue()


def test_the_command_requires_a_directory(settings: Settings, db: None) -> None:
    settings.EXPORT_DIRECTORY = None
    with pytest.raises(CommandError, match="EXPORT_DIRECTORY"):
        _run()
