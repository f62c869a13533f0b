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


def test_it_prints_each_month_and_what_keeps_it(
    other_organization: Organization, october: list[AIRequest], tmp_path: Path
) -> None:
    assert run(tmp_path, "--dry-run") == "north, October 2026: would be archived\n"
    assert AIRequest.objects.count() == len(october)
    assert run(tmp_path).startswith("north, October 2026: archived 7 requests, $0.0")
    assert run(tmp_path) == ""


def test_months_that_ended_lately_are_not_mentioned(october: list[AIRequest], tmp_path: Path) -> None:
    assert run(tmp_path, "--older-than", "100") == ""
    assert AIRequest.objects.exists()


def test_one_organization_can_be_named(
    other_organization: Organization, october: list[AIRequest], tmp_path: Path
) -> None:
    assert run(tmp_path, "--organization", "south") == ""
    with pytest.raises(CommandError, match="there is no organization west"):
        run(tmp_path, "--organization", "west")


def test_a_second_run_at_the_same_time_is_refused(october: list[AIRequest], tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="another run is using"):
            run(tmp_path)
    assert AIRequest.objects.exists()


def test_a_disk_that_takes_no_files_deletes_nothing(october: list[AIRequest], tmp_path: Path) -> None:
    (tmp_path / "north").write_text("a file where the directory should be")
    with pytest.raises(CommandError):
        run(tmp_path)
    assert AIRequest.objects.count() == len(october)


def truncated(directory: Path) -> None:
    file = directory / files.REQUESTS
    file.write_bytes(file.read_bytes()[:-20])


def missing(directory: Path) -> None:
    (directory / files.REQUESTS).unlink()


def without_a_line(directory: Path) -> None:
    rewrite(directory, lambda lines: lines[1:])


def with_a_line_twice(directory: Path) -> None:
    rewrite(directory, lambda lines: [lines[0], *lines])


def with_other_costs(directory: Path) -> None:
    rewrite(directory, lambda lines: [line.replace('"cost_nano":', '"cost_nano":1') for line in lines])


def rewritten_with_its_manifest(directory: Path) -> None:
    without_a_line(directory)
    counted = files._counted(directory / files.REQUESTS)
    manifest = json.loads((directory / files.MANIFEST).read_text())
    (directory / files.MANIFEST).write_text(json.dumps({**manifest, **counted.__dict__}))


def no_manifest(directory: Path) -> None:
    (directory / files.MANIFEST).write_text("{}")


def rewrite(directory: Path, change: Callable[[list[str]], list[str]]) -> None:
    file = directory / files.REQUESTS
    lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
    file.write_bytes(gzip.compress("".join(change(lines)).encode()))


@pytest.mark.parametrize(
    "damage",
    [
        truncated, missing, without_a_line, with_a_line_twice, with_other_costs, rewritten_with_its_manifest,
        no_manifest,
    ],
)  # fmt: skip
def test_damage_is_found_and_nothing_more_is_deleted(
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


def test_an_archive_that_is_not_there_is_a_failure(october: list[AIRequest], tmp_path: Path) -> None:
    run(tmp_path / "archive")
    with pytest.raises(CommandError, match="1 archives are missing or damaged"):
        run(tmp_path / "elsewhere", "--verify")


def test_the_files_are_for_this_user_alone(october: list[AIRequest], tmp_path: Path) -> None:
    run(tmp_path / "archive")
    paths = [tmp_path / "archive", *(tmp_path / "archive").rglob("*")]
    assert ArchivedMonth.objects.get().directory == str(tmp_path / "archive" / "north" / OCTOBER)
    assert [each.name for each in paths if each.stat().st_mode & 0o077] == []
