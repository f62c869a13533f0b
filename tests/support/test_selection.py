"""The rules that select where each test runs."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import pytest

from tests.support.processes import ROOT
from tests.support.selection import (
    ALWAYS_ON_BOTH,
    ON_SQLITE_ALONE,
    PROCESS_TESTS,
    PRODUCT_TESTS,
    SLOW,
    WITHOUT_UNIT_TESTS,
    group_of,
    ignoring,
    mark_databases,
    mark_processes,
    process_paths,
    shares,
    unit_shares,
)

NEW = "tests/queue_app/test_new.py::test_new"
COMMITS = pytest.mark.django_db(transaction=True)


@dataclass
class Item:
    """The attributes of a collected test that the rules use."""

    fixturenames: tuple[str, ...] = ()
    own: pytest.MarkDecorator | None = None
    nodeid: str = NEW
    marks: list[str] = field(default_factory=list)

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.own.mark if self.own and self.own.name == name else None

    def add_marker(self, marker: pytest.MarkDecorator) -> None:
        self.marks.append(marker.name)


@pytest.mark.parametrize(
    ("item", "marks"),
    [
        (Item(), ["no_database"]),
        (Item(("redis_url",)), ["no_database"]),
        (Item(("db", "organization")), ["on_postgres"]),
        (Item(own=pytest.mark.django_db), ["on_postgres"]),
        (Item(("db", "client")), []),
        (Item(("db", "client_of", "browser")), []),
        (Item(("db", "client"), COMMITS), ["on_postgres"]),
        (Item(("transactional_db", "program")), ["on_postgres"]),
        (Item(("db", "client"), nodeid="tests/cost_app/budgets/test_new.py::test_new"), ["on_postgres"]),
        (Item(("running_stack", "stack"), nodeid="tests/faults/test_new.py::test_new[sqlite]"), ["on_postgres"]),
        (Item(("running_stack", "stack"), nodeid="tests/faults/test_breaker.py::test_new[sqlite]"), []),
    ],
)
def test_database_marks_depend_on_fixtures_and_path(item: Item, marks: list[str]) -> None:
    mark_databases(cast(pytest.Item, item))
    assert item.marks == marks


@pytest.mark.parametrize(
    ("item", "marks"),
    [
        (Item(("db", "client")), []),
        (Item(("db", "race", "run_race", "tmp_path")), ["processes"]),
        (Item(nodeid="tests/faults/test_new.py::test_new"), ["processes"]),
    ],
)
def test_tests_that_start_processes_are_marked_processes(item: Item, marks: list[str]) -> None:
    mark_processes(cast(pytest.Item, item))
    assert item.marks == marks


def test_each_unit_test_file_runs_in_exactly_one_process() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    run = Counter(file for share in unit_shares() for file in files if _is_collected(file, share))
    assert {*run} == {file for file in files if not file.startswith(WITHOUT_UNIT_TESTS)}
    assert set(run.values()) == {1}


def _is_collected(file: str, given: list[str]) -> bool:
    ignored = tuple(each.removeprefix("--ignore=") for each in given if each.startswith("--"))
    return f"{file}/".startswith(tuple(f"{each}/" for each in given)) and not file.startswith(ignored)


def test_shares_contain_each_file_once_and_keep_groups_together() -> None:
    dealt = shares(process_paths(), 3)
    files = [file.partition("::")[0] for share in dealt for file in share]
    assert len(files) == len(set(files))
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/faults").glob("test_*.py")} <= set(files)
    assert [share for share in dealt if set(PRODUCT_TESTS) <= set(share)], "one process must run all files of a group"


def test_only_whole_files_and_directories_are_ignored() -> None:
    assert ignoring(["tests"], ["tests/clients/", "tests/api/test_a.py::test_b"]) == [
        "tests",
        "--ignore=tests/clients/",
    ]


def test_tests_that_share_a_product_or_a_file_share_a_process() -> None:
    named = {group_of(f"{path}::test_new[sqlite]") for path in PRODUCT_TESTS}
    assert named == {"product"}
    assert group_of(NEW) == "tests/queue_app/test_new.py"


def test_every_file_that_uses_the_product_is_in_its_group() -> None:
    files = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    asking = {path for path, text in files.items() if re.search(r"^def \w+\(.*\bproduct: Run", text, re.MULTILINE)}
    assert asking == set(PRODUCT_TESTS)


def test_files_with_races_are_found_without_collection() -> None:
    found = set(process_paths())
    assert {"tests/faults/", "tests/queue_app/test_races.py", "tests/cache_app/metrics/test_counts.py"} <= found
    assert "tests/queue_app/test_outcomes.py" not in found
    shared = [
        file for file in (ROOT / "tests").rglob("conftest.py") if "run_race: " in file.read_text(encoding="utf-8")
    ]
    assert shared == [], "tests that use this fixture would not be found"


def test_listed_tests_exist() -> None:
    for named in ALWAYS_ON_BOTH + ON_SQLITE_ALONE + PROCESS_TESTS + PRODUCT_TESTS + SLOW:
        path, _, test = named.partition("::")
        assert (ROOT / path).exists(), named
        assert not test or f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8"), named
