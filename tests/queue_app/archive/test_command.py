import fcntl
import gzip
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from aiinfra.tenants.models import Organization
from queue_app.archive import files
from queue_app.models import AIRequest, ArchivedMonth
from tests.queue_app.archive.conftest import OCTOBER, SENT

pytestmark = pytest.mark.usefixtures("scoped")


def run(root: Path, *options: str) -> str:
    output = StringIO()
    call_command("archive", str(root), *options, stdout=output, stderr=output)
    return output.getvalue()


def test_command_prints_each_archived_month(
    other_organization: Organization, october: list[AIRequest], tmp_path: Path
) -> None:
    assert run(tmp_path, "--dry-run") == "north, October 2026: would be archived\n"
    assert AIRequest.objects.count() == len(october)
    assert run(tmp_path).startswith("north, October 2026: archived 7 requests, $0.0")
    assert run(tmp_path) == ""


def test_months_newer_than_the_given_age_are_skipped(october: list[AIRequest], tmp_path: Path) -> None:
    assert run(tmp_path, "--older-than", "100") == ""
    assert AIRequest.objects.exists()


def test_archiving_can_be_limited_to_one_organization(
    other_organization: Organization, october: list[AIRequest], tmp_path: Path
) -> None:
    assert run(tmp_path, "--organization", "south") == ""
    with pytest.raises(CommandError, match="there is no organization west"):
        run(tmp_path, "--organization", "west")


def test_concurrent_run_is_refused(october: list[AIRequest], tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="another run is using"):
            run(tmp_path)
    assert AIRequest.objects.exists()


def test_nothing_is_deleted_when_files_cannot_be_written(october: list[AIRequest], tmp_path: Path) -> None:
    (tmp_path / "north").write_text("a file where the directory should be")
    with pytest.raises(CommandError):
        run(tmp_path)
    assert AIRequest.objects.count() == len(october)


def truncated(directory: Path) -> None:
    file = directory / files.REQUESTS
    file.write_bytes(file.read_bytes()[:-20])


def missing(directory: Path) -> None:
    (directory / files.REQUESTS).unlink()


def with_missing_line(directory: Path) -> None:
    rewrite(directory, lambda lines: lines[1:])


def with_duplicate_line(directory: Path) -> None:
    rewrite(directory, lambda lines: [lines[0], *lines])


def with_changed_costs(directory: Path) -> None:
    rewrite(directory, lambda lines: [line.replace('"cost_nano":', '"cost_nano":1') for line in lines])


def with_missing_line_and_new_manifest(directory: Path) -> None:
    with_missing_line(directory)
    counted = files._counted(directory / files.REQUESTS)
    manifest = json.loads((directory / files.MANIFEST).read_text())
    (directory / files.MANIFEST).write_text(json.dumps({**manifest, **counted.__dict__}))


def with_empty_manifest(directory: Path) -> None:
    (directory / files.MANIFEST).write_text("{}")


def rewrite(directory: Path, change: Callable[[list[str]], list[str]]) -> None:
    file = directory / files.REQUESTS
    lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
    file.write_bytes(gzip.compress("".join(change(lines)).encode()))


@pytest.mark.parametrize(
    "damage",
    [
        truncated, missing, with_missing_line, with_duplicate_line, with_changed_costs,
        with_missing_line_and_new_manifest, with_empty_manifest,
    ],
)  # fmt: skip
def test_verify_reports_damage_and_stops_further_deletion(
    organization: Organization, october: list[AIRequest], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    directory = tmp_path / "north" / OCTOBER
    run(tmp_path)
    assert run(tmp_path, "--verify").startswith("north, October 2026: intact, 7 requests, $")
    damage(directory)
    with pytest.raises(CommandError, match="1 archives are missing or damaged"):
        run(tmp_path, "--verify")
    AIRequest.objects.create(organization=organization, created_at=SENT, completed_at=SENT, status="completed")
    with pytest.raises(CommandError, match=str(directory)):
        run(tmp_path)
    assert AIRequest.objects.count() == 1


def test_verify_fails_when_an_archive_is_missing(october: list[AIRequest], tmp_path: Path) -> None:
    run(tmp_path / "archive")
    with pytest.raises(CommandError, match="1 archives are missing or damaged"):
        run(tmp_path / "elsewhere", "--verify")


def test_archive_files_are_readable_only_by_their_owner(october: list[AIRequest], tmp_path: Path) -> None:
    run(tmp_path / "archive")
    paths = [tmp_path / "archive", *(tmp_path / "archive").rglob("*")]
    assert ArchivedMonth.objects.get().directory == str(tmp_path / "archive" / "north" / OCTOBER)
    assert [each.name for each in paths if each.stat().st_mode & 0o077] == []
