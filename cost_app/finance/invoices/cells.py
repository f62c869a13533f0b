"""Reading one cell of a provider's file."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from cost_app.finance.invoices.numbers import FRACTION_OF_TOKENS_MAX, Notation, Number, parse_number

TOKENS_MAX = 10**12
DOLLARS_MAX = 10**9
EARLIEST = date(2020, 1, 1)
MODEL_LENGTH = 128
DAYS_KEPT = 4_096
ZERO = Number({notation: (Decimal(), 0) for notation in Notation}, is_amount=False)
_DAY = re.compile(
    r"(\d{4})([-/]?)(\d{2})\2(\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z| ?[-+]\d{2}:?\d{2})?)?", re.ASCII
)
_UNIX_TIME = re.compile(r"\d{10}", re.ASCII)
_TOTAL = re.compile(
    r"\W*(?:grand |running )?(?:(?:sub-?)?totals?|totale|totaal|sum|summe|suma|somme|gesamt\w*|zwischensumme|insgesamt)"
    r"(?![-.:/\w]*\w)",
    re.IGNORECASE,
)
"""A row of sums: `Total cost (USD)`; not the name of a model such as `sum-1`."""


class CellError(ValueError):
    """An invalid cell."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(problem)
        self.column = column
        self.problem = problem


@dataclass(frozen=True)
class Cell:
    """A cell's text, without spaces around it, and its column. The readers raise CellError."""

    column: str
    text: str
    notation: Notation = Notation.POINT

    def error(self, problem: str) -> CellError:
        """What is wrong with the cell."""
        return CellError(self.column, problem)

    def day(self) -> date:
        """The day, in the file's own offset. Seconds since 1970 give the day in UTC. Days must be year, month, day: in
        `03/04/2026`, the month is ambiguous.
        """
        day = self._day()
        if not EARLIEST <= day <= datetime.now(UTC).date() + timedelta(days=1):
            raise self.error(f"{day} is not a possible date of usage")
        return day

    def _day(self) -> date:
        day = _parse_day(self.text)
        if day is None:
            raise self.error(f"{self.shown()} is not a date; write it as YYYY-MM-DD")
        return day

    def tokens(self) -> int:
        """A whole number of 0 or more. 0 if the cell is empty."""
        number = self.number()
        value, digits = number.read(self.notation)
        is_count = not number.is_amount and number.exponent is None and digits <= FRACTION_OF_TOKENS_MAX
        if not is_count or value != value.to_integral_value() or not 0 <= value <= TOKENS_MAX:
            raise self.error(f"{self.shown()} is not a number of tokens")
        return int(value)

    def dollars(self) -> Decimal:
        """An amount, negative for a credit. 0 if the cell is empty."""
        number = self.number()
        value, _ = number.read(self.notation)
        if abs(value) > DOLLARS_MAX or (number.exponent or 0) > 0:
            raise self.error(f"{self.shown()} is not an amount of dollars")
        return value.quantize(Decimal(1).scaleb(-18)) if value.adjusted() < -18 else value

    def number(self) -> Number:
        """The cell's number in the file's notation, which must be one of its readings."""
        number = parse_number(self.text) if self.text else ZERO
        if number is None:
            raise self.error(f"{self.shown()} is not a number")
        return number

    def model(self) -> str:
        """A model's name."""
        if not self.text:
            raise self.error("the model is missing; group the export by model")
        if len(self.text) > MODEL_LENGTH:
            raise self.error(f"a model's name has at most {MODEL_LENGTH} characters")
        if _TOTAL.match(self.text):
            raise self.error("this row is a total; remove it")
        return self.text

    def must_be_usd(self) -> None:
        """Raise CellError unless amounts are in US dollars."""
        if not self.text:
            raise self.error("the currency is missing")
        if self.text.upper() != "USD":
            raise self.error(f"amounts are in {self.shown()}; only US dollars can be compared")

    def shown(self) -> str:
        """The text, shortened for a message."""
        return repr(self.text[:40])


@lru_cache(maxsize=DAYS_KEPT)
def _parse_day(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    try:
        if found:
            return date(int(found[1]), int(found[3]), int(found[4]))
        if _UNIX_TIME.fullmatch(text):
            return datetime.fromtimestamp(int(text), UTC).date()
    except ValueError:
        pass
    return None
