"""One step that brings database, prices, and static files up to date. Safe to repeat and to run twice at once."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from django.core.management import call_command
from django.db import OperationalError, connection

from aiinfra.stack import static_files
from aiinfra.tenants import row_security
from cost_app import create_cost_optimizer

LOCK = 7_310_845_216
"""Of PostgreSQL's advisory locks. The number only has to differ from those of other programs in this database."""


class DatabaseUnreachableError(Exception):
    """The database cannot be reached; the message says why."""


def release(say: Callable[[str], object]) -> None:
    """Migrate, import new prices, and collect static files, while no other process does. Raises
    DatabaseUnreachableError.

    The price book learns new models here and not in a migration: they come with each release of a package.
    """
    try:
        with _locked():
            say("Preparing the database ...")
            call_command("migrate", interactive=False, verbosity=0)
            if row_security.is_on():
                row_security.create_policies()
            create_cost_optimizer().import_prices_once()
            say("Collecting static files ...")
            static_files.collect()
    except OperationalError as error:
        raise DatabaseUnreachableError(f"The database is unreachable: {str(error).strip()}") from error


@contextmanager
def _locked() -> Iterator[None]:
    """Waits for another release."""
    if connection.vendor == "postgresql":
        with _connected_directly() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            yield
    else:
        name = Path(f"{connection.settings_dict['NAME']}-release")
        name.parent.mkdir(parents=True, exist_ok=True)
        with name.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def _connected_directly() -> Iterator[Any]:
    """A cursor outside the pool, whose error says why no connection can be made. It waits without a time limit."""
    database = cast(Any, connection)
    with connection.wrap_database_errors:
        direct = database.Database.connect(**{**database.get_connection_params(), "autocommit": True})
    with direct, direct.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        yield cursor
