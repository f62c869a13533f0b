"""Rows as JSON values; equal rows give equal values on both databases."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.db.models import Model


def plain(row: Model, without: Collection[str] = ()) -> dict[str, Any]:
    """A row's columns except `without`. Times are in UTC with microseconds; types that JSON lacks become text."""
    names = (field.attname for field in row._meta.concrete_fields)
    return {name: _plain(getattr(row, name)) for name in names if name not in without}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value if value is None or isinstance(value, (int, str, list, dict)) else str(value)
