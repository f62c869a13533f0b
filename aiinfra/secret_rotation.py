"""Re-encrypts every encrypted column with the newest key after `SECRET_KEY` has changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Cast

from aiinfra.encrypted_fields import EncryptedTextField
from aiinfra.encryption import UndecryptableError, decrypt, encrypt, is_current
from aiinfra.tenants.scope import system_scope

BATCH = 200
"""Rows per transaction: a few dozen milliseconds, so that other writers don't wait."""

Stored = tuple[Any, str]
"""A row's primary key and the text of its column as stored."""


@dataclass(frozen=True)
class Column:
    """An encrypted column of a table."""

    model: type[models.Model]
    name: str

    def __str__(self) -> str:
        return f"{self.model._meta.db_table}.{self.name}"


@dataclass
class KeyCounts:
    """Number of a column's values that the newest key, only an earlier key, and no key can decrypt."""

    column: Column
    current: int = 0
    older: int = 0
    undecryptable: int = 0


def encrypted_columns() -> list[Column]:
    """The encrypted columns of all apps."""
    return [
        Column(model, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, EncryptedTextField)
    ]


def count_by_key() -> list[KeyCounts]:
    """Count each column's values by key. Read-only; reads every encrypted value."""
    counts = []
    for column in encrypted_columns():
        found = KeyCounts(column)
        for batch in _batches(column):
            for _, stored in batch:
                _count(found, stored)
        counts.append(found)
    return counts


def rotate() -> list[KeyCounts]:
    """Re-encrypt values of earlier keys with the newest one; returns the counts from before.

    Safe to repeat and to interrupt: each batch is one transaction. Values that changed in the meantime, and values that
    no key can decrypt, are left unchanged.
    """
    counts = []
    for column in encrypted_columns():
        found = KeyCounts(column)
        for batch in _batches(column):
            with transaction.atomic():
                for pk, stored in batch:
                    if _count(found, stored):
                        _replace(column, pk, stored)
        counts.append(found)
    return counts


def _count(found: KeyCounts, stored: str) -> bool:
    """Count a value; True if an earlier key encrypted it."""
    if is_current(stored):
        found.current += 1
        return False
    try:
        decrypt(stored)
    except UndecryptableError:
        found.undecryptable += 1
        return False
    found.older += 1
    return True


def _batches(column: Column) -> Iterator[list[Stored]]:
    """The values in order of their primary keys, without the empty ones."""
    last: Any = None
    while batch := _after(column, last):
        yield batch
        last = batch[-1][0]


def _after(column: Column, last: Any) -> list[Stored]:
    rows = _stored(column).exclude(stored="").exclude(stored=None).order_by("pk")
    if last is not None:
        rows = rows.filter(pk__gt=last)
    with system_scope():
        return list(rows.values_list("pk", "stored")[:BATCH])


def _replace(column: Column, pk: Any, stored: str) -> None:
    fresh = models.Value(encrypt(decrypt(stored)), output_field=models.TextField())
    with system_scope():
        _stored(column).filter(pk=pk, stored=stored).update(**{column.name: fresh})


def _stored(column: Column) -> models.QuerySet[Any]:
    """The rows with the column's text as stored. The cast keeps the field from decrypting it."""
    with system_scope():
        return column.model._default_manager.annotate(stored=Cast(column.name, models.TextField()))
