"""Keyset pagination, newest first: equally fast on every page, and stable while rows are added."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import DateTimeField, Model, Q, QuerySet, UUIDField

from aiinfra.row_ids import is_row_id

Row = TypeVar("Row", bound=Model)
Found = TypeVar("Found")


@dataclass(frozen=True)
class RowPage(Generic[Row]):
    """Some rows, and where the next page starts ("" at the end)."""

    rows: list[Row]
    next_cursor: str = ""


def row_page(rows: QuerySet[Row], *columns: str, cursor: str, size: int) -> RowPage[Row]:
    """One page of `rows` in descending order of the columns, of which the last is unique. One query.

    Raises ValueError for an invalid cursor.
    """
    ordered = rows.order_by(*(f"-{column}" for column in columns))
    if cursor:
        ordered = ordered.filter(side(columns, place_at(rows.model, columns, cursor), "lt"))
    found = list(ordered[: size + 1])
    shown = found[:size]
    more = len(found) > size
    return RowPage(shown, cursor_at([getattr(shown[-1], column) for column in columns]) if more else "")


def cursor_at(place: Sequence[Any]) -> str:
    """The values of a row's columns as a cursor."""
    text = "|".join(value.isoformat() if isinstance(value, datetime) else str(value) for value in place)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_at(model: type[Model], columns: Sequence[str], cursor: str) -> list[Any]:
    """The values that a cursor encodes. Raises ValueError for an invalid cursor."""
    texts = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("|")
    return [_value(model._meta.get_field(column), text) for column, text in zip(columns, texts, strict=True)]


def side(columns: Sequence[str], place: Sequence[Any], lookup: str) -> Q:
    """The rows before or after a position; `lookup` is lt, gt, lte or gte. The first condition can use an index."""
    (column, *columns_left), (value, *values_left) = columns, place
    if not columns_left:
        return Q(**{f"{column}__{lookup}": value})
    strict = lookup[:2]
    tie = Q(**{column: value}) & side(columns_left, values_left, lookup)
    return Q(**{f"{column}__{strict}e": value}) & (Q(**{f"{column}__{strict}": value}) | tie)


def page_or_first(read: Callable[[str], Found], cursor: str) -> Found:
    """`read(cursor)`, or the first page for an invalid cursor."""
    try:
        return read(cursor)
    except ValueError:
        return read("")


def page_links(filters: Mapping[str, str], cursor: str, next_cursor: str) -> dict[str, Any]:
    """What `shared/_older_pages.html` needs: the query strings of the first page, of this one and of the next."""
    return {
        "filters": urlencode(filters),
        "here": urlencode({**filters, "cursor": cursor} if cursor else filters),
        "older": urlencode({**filters, "cursor": next_cursor}) if next_cursor else "",
        "is_later_page": bool(cursor),
    }


def _value(field: Any, text: str) -> Any:
    if isinstance(field, UUIDField):
        return UUID(text)
    if isinstance(field, DateTimeField):
        moment = datetime.fromisoformat(text)
        if moment.utcoffset() == timedelta(0):  # another offset may exceed the range of UTC dates
            return moment
    elif is_row_id(text):
        return int(text)
    raise ValueError("This cursor is invalid.")
