"""Rows of the ledger, the audit log and the price book cannot be changed, deleted or replaced by any statement."""

import pytest
from django.db import DatabaseError, connection, models, transaction

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.security_log.models import SecurityEvent
from cost_app.models import LedgerEntry, ModelAlias, ModelPrice, MonthClose, ToolFee
from tests.support.rows import make_row

BOOKS: list[type[models.Model]] = [LedgerEntry, MonthClose, ModelAlias, ModelPrice, ToolFee, AuditEvent, SecurityEvent]


@pytest.fixture(params=BOOKS, ids=lambda model: model._meta.db_table)
def row(request: pytest.FixtureRequest, organization: Organization) -> models.Model:
    """A row of one of the books. Fees and aliases are fixed once they have been decided on."""
    with system_scope():
        return make_row(request.param, organization, {"state": "approved"})  # type: ignore[no-any-return]


def refused(statement: str, *values: object) -> None:
    """The database refuses the statement."""
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_a_row_is_neither_changed_nor_deleted(row: models.Model) -> None:
    table, key = row._meta.db_table, row._meta.pk.column
    refused(f'DELETE FROM "{table}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema
    refused(f'UPDATE "{table}" SET "{key}" = "{key}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no INSERT OR REPLACE")
def test_a_row_is_not_replaced(row: models.Model) -> None:
    table, key = row._meta.db_table, row._meta.pk.column
    refused(f'INSERT OR REPLACE INTO "{table}" SELECT * FROM "{table}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema
    refused(f'REPLACE INTO "{table}" SELECT * FROM "{table}" WHERE "{key}" = %s', stored(row, key))  # noqa: S608 - names of the schema


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no INSERT OR REPLACE")
def test_a_ledger_row_is_not_replaced_by_its_attempt(organization: Organization) -> None:
    with system_scope():
        entry = make_row(LedgerEntry, organization)
        entry.pk = entry.repricing = None
        entry.save(force_insert=True)
    names = [f'"{field.column}"' for field in LedgerEntry._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(names)
    replace = f"INSERT OR REPLACE INTO cost_app_ledgerentry ({columns}) SELECT {columns} FROM cost_app_ledgerentry"  # noqa: S608 - names of the schema
    refused(f"{replace} WHERE id = %s", entry.id)


def stored(row: models.Model, key: str) -> object:
    """The key as the database has it: SQLite stores a UUID without dashes."""
    return row._meta.get_field(key).get_db_prep_value(row.pk, connection)
