"""What the JSON operations of finance take and give."""

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, RootModel, WithJsonSchema

from aiinfra.api import ApiModel
from aiinfra.money import Dollars


def _day(value: object) -> object:
    """A date as JSON Schema means it; pydantic also takes numbers of seconds for one."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("Input should be a date, YYYY-MM-DD")
    return date.fromisoformat(value) if isinstance(value, str) else value


DayIn = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class ExportQuery(ApiModel):
    """Days of the organization's calendar, both included."""

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
    """One month. A closed one has its signed figures, null if they are unreadable."""

    first_day: date
    last_day: date
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    is_over: bool
    is_closed: bool
    is_verified: Annotated[bool | None, Field(description="whether a closed month is as it was signed")]
    cost: Dollars | None
    requests: int | None
    corrections: Annotated[Dollars | None, Field(description="what was booked for a closed month since")]


class MonthsOut(ApiModel):
    """The newest two years of months, and all closed ones; newest first."""

    months: list[MonthOut]
