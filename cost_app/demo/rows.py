"""Writing attempts, ledger rows and their sums in bulk: plain INSERTs, several times as fast as through the models.

Sums are added to what is there in the transaction of the rows, under the lock that folds take, so that whoever looks at
any moment finds ledger and sums agreed.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import add, itemgetter
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction

from cost_app.calendar import Calendar
from cost_app.models import Attempt, CostPolicy, Dimension, LedgerEntry, UsageDay, UsageHour

ATTEMPT_COLUMNS = [
    "id",
    "organization_id",
    "request_id",
    "number",
    "provider",
    "model",
    "price_id",
    "api_key_id",
    "user_ref",
    "tags",
    "priority",
    "request_class",
    "external_id",
    "max_tokens",
    "prompt_digest",
    "prefix_digest",
    "prefix_bytes",
    "state",
    "bound_nano",
    "cost_nano",
    "raw_usage",
    "error_code",
    "error_message",
    "created_at",
    "dispatched_at",
    "finished_at",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
]
LEDGER_COLUMNS = [
    "organization_id",
    "at",
    "kind",
    "attempt_id",
    "request_id",
    "provider",
    "model",
    "api_key_id",
    "user_ref",
    "tags",
    "priority",
    "nano",
    "saved_nano",
    "calls",
    "errors",
    "latency_ms",
    "estimated",
    "note",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
]
SUMS = [
    "nano",
    "saved_nano",
    "calls",
    "errors",
    "cache_hits",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "latency_ms",
    "timed_calls",
]
SUMS_AT_ONCE = 50
MARK = "demo history"
RAW_USAGE = json.dumps({"demo": True})
PLACE_OF = itemgetter("provider", "model", "api_key_id", "user_ref", "priority", "tags")
AMOUNTS_OF = itemgetter(*SUMS[:10])
ATTEMPT_OF, LEDGER_OF = itemgetter(*ATTEMPT_COLUMNS), itemgetter(*LEDGER_COLUMNS)

Row = dict[str, Any]
Place = tuple[Any, str, str]
"""(hour or day, dimension, value)"""
Amounts = tuple[int, ...]
"""In the order of `SUMS`."""


@contextmanager
def roomy_cache() -> Iterator[None]:
    """64 MB of SQLite's pages in memory during the block: with the usual 256 kB indexes are read again and again."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        before = cursor.execute("PRAGMA cache_size").fetchone()[0]
        cursor.execute("PRAGMA cache_size=-65536")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA cache_size={before:d}")


class RowWriter:
    """Collects rows and writes them with their sums when asked to."""

    def __init__(self, organization_id: int, calendar: Calendar) -> None:
        self._organization_id = organization_id
        self._calendar = calendar
        self._attempts: list[tuple[Any, ...]] = []
        self._entries: list[tuple[Any, ...]] = []
        self._alike: dict[tuple[Any, ...], Amounts] = {}
        self._adapt = connection.ops.adapt_datetimefield_value
        self._moments: dict[datetime, Any] = {}
        self._has_uuids = connection.features.has_native_uuid_field
        self._json: dict[tuple[str, ...], str] = {}

    def add_attempt(self, row: Row) -> None:
        """One provider call; the keys are the columns. Ids are plain numbers, tags a tuple."""
        values = {
            **row,
            "organization_id": self._organization_id,
            "id": self._uuid(row["id"]),
            "request_id": self._uuid(row["request_id"]),
            "created_at": self._moment(row["created_at"]),
            "dispatched_at": self._moment(row["dispatched_at"]),
            "finished_at": self._moment(row["finished_at"]),
            "tags": self._tags(row["tags"]),
            "raw_usage": RAW_USAGE,
        }
        self._attempts.append(ATTEMPT_OF(values))

    def add_entry(self, row: Row) -> None:
        """One row of the ledger, and what it adds to the sums."""
        attempt_id = row["attempt_id"]
        values = {
            **row,
            "organization_id": self._organization_id,
            "attempt_id": None if attempt_id is None else self._uuid(attempt_id),
            "request_id": self._uuid(row["request_id"]),
            "at": self._moment(row["at"]),
            "tags": self._tags(row["tags"]),
            "estimated": False,
            "note": MARK,
        }
        self._entries.append(LEDGER_OF(values))
        self._count(row)

    def _moment(self, at: datetime) -> Any:
        """As the database takes it; asked for several times for each call, and slow to make."""
        found = self._moments.get(at)
        if found is None:
            found = self._moments[at] = self._adapt(at)
        return found

    def _uuid(self, number: int) -> UUID | str:
        return UUID(int=number) if self._has_uuids else f"{number:032x}"

    def _tags(self, tags: tuple[str, ...]) -> str:
        if tags not in self._json:
            self._json[tags] = json.dumps(tags)
        return self._json[tags]

    def _count(self, row: Row) -> None:
        """Rows that are alike in all that sums are by are added up first: there are many of them."""
        is_timed = row["latency_ms"] is not None and not row["errors"] and not row["cache_hits"]
        amounts = (*AMOUNTS_OF(row), row["latency_ms"] if is_timed else 0, int(is_timed))
        place = (self._calendar.hour_of(row["at"]), *PLACE_OF(row))
        sums = self._alike.get(place)
        self._alike[place] = amounts if sums is None else tuple(map(add, sums, amounts))

    @transaction.atomic
    def write(self) -> int:
        """Write all that was collected; returns the number of ledger rows."""
        CostPolicy.objects.select_for_update().get(organization_id=self._organization_id)
        _insert(Attempt, ATTEMPT_COLUMNS, self._attempts)
        _insert(LedgerEntry, LEDGER_COLUMNS, self._entries)
        self._write_sums()
        written = len(self._entries)
        self._attempts, self._entries, self._alike, self._moments = [], [], {}, {}
        return written

    def _write_sums(self) -> None:
        hours: dict[Place, Amounts] = {}
        days: dict[Place, Amounts] = {}
        for (hour, *facts), amounts in self._alike.items():
            day = self._calendar.day_of(hour)
            for kind, value in _values(*facts):
                _grow(hours, (self._moment(hour), kind, value), amounts)
                _grow(days, (day, kind, value), amounts)
        for model, unit, sums in ((UsageHour, "hour", hours), (UsageDay, "day", days)):
            rows = [(self._organization_id, *place, *amounts) for place, amounts in sums.items()]
            _add_up(model, ["organization_id", unit, "dimension", "value", *SUMS], rows)


def _grow(sums: dict[Place, Amounts], place: Place, amounts: Amounts) -> None:
    before = sums.get(place)
    sums[place] = amounts if before is None else tuple(map(add, before, amounts))


def _values(
    provider: str, model: str, api_key_id: int, user_ref: str, priority: int, tags: tuple[str, ...]
) -> list[tuple[str, str]]:
    """(dimension, value) of every sum that a row counts in."""
    return [
        (Dimension.TOTAL.value, ""),
        (Dimension.PROVIDER.value, provider),
        (Dimension.MODEL.value, f"{provider}/{model}"),
        (Dimension.API_KEY.value, str(api_key_id)),
        (Dimension.USER.value, user_ref),
        (Dimension.PRIORITY.value, str(priority)),
        *[(Dimension.TAG.value, tag) for tag in tags],
    ]


def _insert(model: type[models.Model], columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """New rows, by the database's quickest way."""
    table, names = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        elif rows:
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES {_marks(columns, 1)}", rows)  # noqa: S608


def _add_up(model: type[models.Model], columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Sums: those that are there already grow by the new ones. The first four columns say whose they are."""
    table = model._meta.db_table
    grown = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    ending = f"ON CONFLICT ({', '.join(columns[:4])}) DO UPDATE SET {grown}"
    with connection.cursor() as cursor:
        for begin in range(0, len(rows), SUMS_AT_ONCE):
            some = rows[begin : begin + SUMS_AT_ONCE]
            sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {_marks(columns, len(some))} {ending}"  # noqa: S608
            cursor.execute(sql, [value for row in some for value in row])


def _marks(columns: Sequence[str], rows: int) -> str:
    one = f"({', '.join(['%s'] * len(columns))})"
    return ", ".join([one] * rows)
