"""Marks that decide in which part of the suite a test runs, and on which database. `python -m tests` selects by them.

- A test that starts processes of the product is marked `processes`. These are the tests that use the fixture
  `run_race` and those listed in `PROCESS_TESTS`.

- A test that uses no database is marked `no_database` and runs once.
- A test that uses the database is marked `on_postgres` and runs on both SQLite and PostgreSQL.
- A test that goes through HTTP (it uses a client, a browser, or a program with a key) runs on SQLite only, because it
  checks the page or the response. If it commits (`transaction=True`) or is in `ALWAYS_ON_BOTH`, it runs on both.
- Tests listed in `ON_SQLITE_ALONE` do not run on PostgreSQL.
- Tests listed in `SLOW` are marked `slow` and are not part of the quick run.

Most new tests need no entry here. Add a test to `ALWAYS_ON_BOTH` if it checks money, locks, or constraints over HTTP.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RACE_FIXTURE = "run_race"
PROCESS_TESTS = (
    "tests/configuration/test_every_program.py",
    "tests/faults/",
    "tests/gateway/test_events_served.py",
    "tests/mutants/test_mutants.py::test_a_mutant_is_run_in_a_copy",
    "tests/queue_app/test_worker.py::test_worker_starts_without_redis_and_works_when_it_is_back",
    "tests/security/test_attacks.py",
    "tests/security/test_web_server.py",
    "tests/sqlite/test_crashes.py",
    "tests/stack/test_bootstrap.py",
    "tests/stack/test_run.py",
    "tests/support/test_forked.py",
    "tests/support/test_race.py",
)
PRODUCT_TESTS = ("tests/security/test_attacks.py", "tests/stack/test_run.py")
"""Tests that use the fixture `product`, which starts the whole product."""
SCHEMATHESIS = "tests/api/test_schemathesis.py"
POSTGRES_AREAS = (
    ("tests/queue_app", "tests/gateway", "tests/tenants", "tests/clients"),
    ("tests/cost_app", "tests/cache_app"),
)
UNIT_AREAS = (*POSTGRES_AREAS, ("tests/api", "tests/providers", "tests/upgrade"), (SCHEMATHESIS,))
"""Unit tests that share a process; the rest run in one more. Importing the product takes each process seconds, and all
processes together can't take less time than the longest one.
"""
WITHOUT_UNIT_TESTS = ("tests/browser", "tests/faults", "tests/hosts")
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "running_stack"}
HTTP_FIXTURES = {"client", "admin_client", "client_of", "key_of", "program", "other_program", "admin_program"}
ALWAYS_ON_BOTH = (
    # These record or sum up costs.
    "tests/api/test_changing.py",
    "tests/api/test_enqueue.py",
    "tests/api/test_idempotency.py",
    "tests/cost_app/budgets/",
    "tests/cost_app/finance/",
    "tests/cost_app/ledger/",
    "tests/cost_app/spend/",
    "tests/cost_app/prices/test_repricing.py",
    "tests/cost_app/prices/test_repricing_page.py",
    # Opens every page and calls every operation, so all of their queries run on PostgreSQL.
    "tests/api/test_authorization_matrix.py",
)
ON_SQLITE_ALONE = (
    # Checks responses over HTTP. Its fixtures don't show this because schemathesis requests them at run time.
    SCHEMATHESIS,
    # These also use HTTP but create their own clients. tests/gateway/ covers streaming on both databases.
    "tests/clients/",
    # Staff pages are refused before they run a query.
    "tests/api/test_authorization_matrix.py::test_staff_pages_require_staff",
    # That the models detect bugs. The models themselves run on both databases.
    "tests/cost_app/budgets/test_budget_model.py::test_the_model_detects_planted_bugs",
    "tests/cost_app/ledger/test_attempts_model.py::test_the_model_detects_planted_bugs",
    # Creates the whole demo history. tests/demo/test_history.py reads a short one on both databases.
    "tests/stack/test_launch.py::test_demo_users_are_created_in_an_empty_installation",
    # Arithmetic, parsing, and odd bodies. Other tests run the same SQL statements of the product on both.
    "tests/cache_app/test_lookup.py",
    "tests/cost_app/finance/test_invoice_files.py",
    "tests/cost_app/finance/test_invoice_fuzz.py",
    "tests/cost_app/finance/test_month_close_pages.py",
    "tests/cost_app/finance/test_statement.py",
    "tests/cost_app/prices/test_pricing.py",
    "tests/cost_app/recommendations/test_classes.py",
    "tests/cost_app/recommendations/test_repeats.py",
    "tests/cost_app/spend/test_forecast.py",
    "tests/cost_app/test_calendar.py",
    "tests/gateway/v1/test_key_access.py",
    "tests/gateway/v1/test_large_calls.py",
    "tests/gateway/v1/test_odd_bodies.py",
    # Which links and forms each role sees. The run as owner follows and submits all of them on both databases.
    "tests/web/test_role_pages.py::test_a_name_that_ends_with_a_period_gets_no_second_one",
    "tests/web/test_role_pages.py::test_no_link_and_no_form_is_refused[admin]",
    "tests/web/test_role_pages.py::test_no_link_and_no_form_is_refused[finance]",
    "tests/web/test_role_pages.py::test_no_link_and_no_form_is_refused[operator]",
    "tests/web/test_role_pages.py::test_no_link_and_no_form_is_refused[viewer]",
    # The run as owner saves all forms; these roles see fewer of them.
    "tests/web/test_every_form.py::test_every_form_of_every_page_saves_what_it_has_rendered[finance]",
    "tests/web/test_every_form.py::test_every_form_of_every_page_saves_what_it_has_rendered[operator]",
    # Which cached answers may be served to whom: entries and their scopes are in Redis.
    "tests/cache_app/test_isolation.py",
    "tests/cache_app/test_poisoning.py",
    # Arithmetic on the whole price book, which other tests read on both databases.
    "tests/cost_app/prices/test_golden.py",
    # All operations check permissions in one function, which the other tests of this file call on both databases.
    "tests/security/test_lost_rights.py::test_key_is_rejected_when_its_creator_lost_their_rights",
    # The events and their order are in Redis. The other tests of this file check connections on both databases.
    "tests/gateway/test_events_served.py::test_organizations_receive_all_their_events_in_order_across_a_reconnect",
    # Backs up and restores the SQLite file.
    "tests/stack/test_sqlite_backup.py",
    # The size and dates of a demo history. tests/demo/test_history.py reads one on both databases.
    "tests/demo/test_making_history.py",
    # Imports and exports of processes, which don't depend on the database.
    "tests/tracing/test_process.py",
    # Failures of providers and Redis, and signals. Processes that die during a write are tested on both databases.
    "tests/faults/test_breaker.py",
    "tests/faults/test_drain.py",
    "tests/faults/test_ordering.py",
    "tests/faults/test_provider.py",
    "tests/faults/test_redis_lost.py",
    "tests/faults/test_tickets.py",
    "tests/sqlite/",
)

SLOW = (
    "tests/api/test_authorization_matrix.py",
    "tests/api/test_bad_bodies.py",
    "tests/api/test_documentation.py",
    "tests/api/test_schemathesis.py",
    "tests/cache_app/embedding/test_minilm.py",
    "tests/cache_app/embedding/test_minilm_graph.py",
    "tests/cache_app/index/test_index_model.py",
    "tests/cache_app/learning/test_interval.py",
    "tests/cache_app/test_isolation.py",
    "tests/cache_app/test_poisoning.py",
    "tests/cache_app/test_quality.py",
    "tests/clients/",
    "tests/cost_app/budgets/test_budget_model.py",
    "tests/cost_app/budgets/test_window_property.py",
    "tests/cost_app/finance/",
    "tests/cost_app/ledger/test_attempts_model.py",
    "tests/cost_app/prices/test_golden.py",
    "tests/cost_app/recommendations/",
    "tests/cost_app/test_calendar.py",
    "tests/demo/",
    "tests/gateway/batches/",
    "tests/gateway/test_cached.py",
    "tests/gateway/v1/test_idempotency.py",
    "tests/gateway/v1/test_odd_bodies.py",
    "tests/growth/",
    "tests/mutants/",
    "tests/providers/dialects/test_passing_on.py",
    "tests/providers/test_answer_size.py",
    "tests/providers/test_breaker.py",
    "tests/providers/test_odd_answers.py",
    "tests/queue_app/archive/",
    "tests/queue_app/test_index_model.py",
    "tests/security/test_further_attacks.py",
    "tests/security/test_isolation.py",
    "tests/security/test_lost_rights.py",
    "tests/specification/",
    "tests/stack/test_launch.py",
    "tests/tenants/sso/",
    "tests/test_starts.py",
    "tests/test_wording.py",
    "tests/tracing/",
    "tests/upgrade/",
    "tests/web/test_admin_walk.py",
    "tests/web/test_edit_forms.py",
    "tests/web/test_every_form.py",
    "tests/web/test_same_figures.py",
)
"""Files and directories with CPU-intensive tests, which the quick run leaves out."""


def process_paths() -> Iterator[str]:
    """Paths that contain all process tests, so that pytest doesn't have to collect the whole suite to select them."""
    yield from PROCESS_TESTS
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        if not path.startswith(PROCESS_TESTS) and f"{RACE_FIXTURE}: " in file.read_text(encoding="utf-8"):
            yield path


def shares(paths: Iterable[str], number: int) -> list[list[str]]:
    """Distribute the files of these paths to `number` processes; the files of a group stay in one process."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        files = (ROOT / path).rglob("test_*.py") if path.endswith("/") else [ROOT / path]
        for file in sorted(file.relative_to(ROOT).as_posix() for file in files):
            groups.setdefault(group_of(file), []).append(file)
    dealt = list(groups.values())
    return [[file for group in dealt[first::number] for file in group] for first in range(number)]


def unit_shares(areas: Sequence[Sequence[str]] = UNIT_AREAS) -> list[list[str]]:
    """Arguments of pytest for each unit test process. The first process runs everything that is not in `areas`."""
    placed = [path for area in areas for path in area]
    rest = ignoring(["tests"], [*placed, *WITHOUT_UNIT_TESTS])
    return [rest, *(ignoring(area, _inside(area, placed)) for area in areas)]


def _inside(area: Sequence[str], placed: Sequence[str]) -> list[str]:
    """Paths within the area that belong to another part."""
    return [path for path in placed if path.startswith(tuple(f"{directory}/" for directory in area))]


def ignoring(paths: Iterable[str], ignored: Iterable[str]) -> list[str]:
    """Arguments of pytest that leave out files and directories. Single tests (`file::test`) are not left out."""
    return [*paths, *(f"--ignore={path}" for path in ignored if "::" not in path)]


def mark_processes(item: pytest.Item) -> None:
    """Mark a test `processes` if it starts processes of the product."""
    if item.nodeid.startswith(PROCESS_TESTS) or RACE_FIXTURE in _fixtures(item):
        item.add_marker(pytest.mark.processes)


def mark_slow(item: pytest.Item) -> None:
    """Mark a test `slow` if the quick run leaves it out."""
    if item.nodeid.startswith(SLOW):
        item.add_marker(pytest.mark.slow)


def mark_hosts(item: pytest.Item) -> None:
    """Mark a test `hosts` if it needs its own servers."""
    if item.nodeid.startswith("tests/hosts/"):
        item.add_marker(pytest.mark.hosts)


def group_of(nodeid: str) -> str:
    """The group of tests that run in one process because they share a slow session fixture."""
    path, *_ = nodeid.partition("::")
    return "product" if path in PRODUCT_TESTS else path


def mark_databases(item: pytest.Item) -> None:
    """Mark a test `no_database` or `on_postgres`. A test with neither mark runs on SQLite only."""
    if not _touches_database(item):
        item.add_marker(pytest.mark.no_database)
    elif _belongs_on_both(item):
        item.add_marker(pytest.mark.on_postgres)


def _touches_database(item: pytest.Item) -> bool:
    return not DATABASE_FIXTURES.isdisjoint(_fixtures(item)) or item.get_closest_marker("django_db") is not None


def _belongs_on_both(item: pytest.Item) -> bool:
    if item.nodeid.startswith(ON_SQLITE_ALONE):
        return False
    return item.nodeid.startswith(ALWAYS_ON_BOTH) or _commits(item) or HTTP_FIXTURES.isdisjoint(_fixtures(item))


def _commits(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return "transactional_db" in _fixtures(item) or (marker is not None and bool(marker.kwargs.get("transaction")))


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))
