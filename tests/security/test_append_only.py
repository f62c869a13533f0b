"""No SQL statement can change, delete, or replace rows of append-only tables."""

import pytest
from django.db import DatabaseError, connection, models, transaction

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.security_log.models import SecurityEvent
from cost_app.models import LedgerEntry, ModelAlias, ModelPrice, MonthClose, ToolFee
from tests.support.rows import make_row

APPEND_ONLY: list[type[models.Model]] = [
    LedgerEntry,
    MonthClose,
    ModelAlias,
    ModelPrice,
    ToolFee,
    AuditEvent,
    SecurityEvent,
]


@pytest.fixture(params=APPEND_ONLY, ids=lambda model: model._meta.db_table)
def row(request: pytest.FixtureRequest, organization: Organization) -> models.Model:
    """A row of an append-only table. Fees and aliases are immutable once they are approved."""
    with system_scope():
        return make_row(request.param, organization, {"state": "approved"})  # type: ignore[no-any-return]


def assert_rejected(statement: str, *values: object) -> None:
    """Assert that the database rejects the statement."""
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_row_cannot_be_changed_or_deleted(row: models.Model) -> None:
    table, key = row._meta.db_table, row._meta.pk.column
    assert_rejected(f'DELETE FROM "{table}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema
    assert_rejected(f'UPDATE "{table}" SET "{key}" = "{key}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no INSERT OR REPLACE")
def test_row_cannot_be_replaced(row: models.Model) -> None:
    table, key = row._meta.db_table, row._meta.pk.column
    assert_rejected(f'INSERT OR REPLACE INTO "{table}" SELECT * FROM "{table}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema
    assert_rejected(f'REPLACE INTO "{table}" SELECT * FROM "{table}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no INSERT OR REPLACE")
def test_ledger_entry_cannot_be_replaced_through_its_attempt(organization: Organization) -> None:
    with system_scope():
        entry = make_row(LedgerEntry, organization)
        entry.pk = entry.repricing = None
        entry.save(force_insert=True)
    names = [f'"{field.column}"' for field in LedgerEntry._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(names)
    replace = f"INSERT OR REPLACE INTO cost_app_ledgerentry ({columns}) SELECT {columns} FROM cost_app_ledgerentry"  # noqa: S608 - names of the schema
    assert_rejected(f"{replace} WHERE id = %s", entry.id)


def stored(row: models.Model, key: str) -> object:
    """The key as stored in the database: SQLite stores UUIDs without dashes."""
    return row._meta.get_field(key).get_db_prep_value(row.pk, connection)
