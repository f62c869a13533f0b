"""Payloads of the finance API."""

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, RootModel, WithJsonSchema

from aiinfra.api import ApiModel
from aiinfra.money import Dollars


def _day(value: object) -> object:
    """A JSON Schema date. Pydantic alone would also accept seconds."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("This must be a date, YYYY-MM-DD.")
    return date.fromisoformat(value) if isinstance(value, str) else value


DayIn = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class ExportQuery(ApiModel):
    """An inclusive range of days in the organization's calendar."""

    first: DayIn
    last: DayIn


class StatementQuery(ApiModel):
    """A month by its first day, as `months` lists it."""

    month: DayIn


class MonthsQuery(ApiModel):
    """No parameters besides the action."""


class CsvFile(RootModel[str]):
    """A CSV file in UTF-8 with a header; docs/finance.md describes the columns."""


class MonthOut(ApiModel):
    """One month. Closed months have their signed figures, null if unreadable."""

    first_day: date
    last_day: date
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    is_over: bool
    is_closed: bool
    is_verified: Annotated[bool | None, Field(description="whether the signature of a closed month is valid")]
    cost: Dollars | None
    requests: int | None
    corrections: Annotated[Dollars | None, Field(description="what was booked on its days since it was closed")]


class MonthsOut(ApiModel):
    """The months of the last two years and all closed months, newest first."""

    months: list[MonthOut]
