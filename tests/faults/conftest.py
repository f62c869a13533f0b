"""The running product, on each database. Tests kill parts of it and leave the restart to `revive`."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import cast

import pytest

from tests.faults.databases import Database, Sqlite, fresh_postgres, postgres_answers, postgres_template, vendors
from tests.faults.stack import Stack


@pytest.fixture(scope="session", params=vendors())
def running_stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product on a new database, for all tests of the session."""
    directory = tmp_path_factory.mktemp(request.param)
    with ExitStack() as cleanup:
        database = cast(Database, Sqlite(directory) if request.param == "sqlite" else _postgres(cleanup))
        stack = Stack(directory, database)
        cleanup.callback(stack.shut_down)
        stack.prepare()
        yield stack


def _postgres(cleanup: ExitStack) -> Database:
    if postgres_answers():
        return cleanup.enter_context(fresh_postgres(postgres_template()))
    message = "PostgreSQL: none answers at TEST_DATABASE_URL or 127.0.0.1:5432; the faults ran on SQLite only"
    if os.environ.get("AIINFRA_CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def stack(running_stack: Stack) -> Iterator[Stack]:
    """The product with all parts running, whatever the previous test did."""
    running_stack.revive()
    yield running_stack
