"""Reading one cell of a provider's file."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

MOST_TOKENS = 10**12
MOST_DOLLARS = 10**9
EARLIEST = date(2020, 1, 1)
MODEL_LENGTH = 128
_COMPACT_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_UNIX_TIME = re.compile(r"\d{9,10}", re.ASCII)


class CellError(ValueError):
    """A cell that makes no sense."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(problem)
        self.column = column
        self.problem = problem


@dataclass(frozen=True)
class Cell:
    """A cell's text, without spaces around it, and its column. The readers raise CellError."""

    column: str
    text: str

    def error(self, problem: str) -> CellError:
        """What is wrong with it."""
        return CellError(self.column, problem)

    def day(self) -> date:
        """The day that is written, in the file's own offset; of seconds since 1970 the day in UTC."""
        day = self._day()
        if not EARLIEST <= day <= datetime.now(UTC).date() + timedelta(days=1):
            raise self.error(f"{day} is not a day that usage can be of")
        return day

    def _day(self) -> date:
        compact = _COMPACT_DAY.fullmatch(self.text)
        try:
            if compact:
                return date(*map(int, compact.groups()))
            if _UNIX_TIME.fullmatch(self.text):
                return datetime.fromtimestamp(int(self.text), UTC).date()
            return datetime.fromisoformat(self.text).date()
        except ValueError:
            raise self.error(f"{self._shown()} is not a date") from None

    def tokens(self) -> int:
        """A whole number from 0 on; 0 where the cell is empty."""
        number = self._number()
        if number != number.to_integral_value() or not 0 <= number <= MOST_TOKENS:
            raise self.error(f"{self._shown()} is not a number of tokens")
        return int(number)

    def dollars(self) -> Decimal:
        """An amount, negative for a credit; 0 where the cell is empty."""
        number = self._number()
        if abs(number) > MOST_DOLLARS:
            raise self.error(f"{self._shown()} is not an amount of dollars")
        return number.quantize(Decimal(1).scaleb(-18)) if number.adjusted() < -18 else number

    def _number(self) -> Decimal:
        try:
            number = Decimal(self.text.removeprefix("$").replace(",", "") or 0)
        except InvalidOperation:
            raise self.error(f"{self._shown()} is not a number") from None
        if not number.is_finite():
            raise self.error(f"{self._shown()} is not a number")
        return number

    def model(self) -> str:
        """A model's name."""
        if not self.text:
            raise self.error("the model is missing; group the export by model")
        if len(self.text) > MODEL_LENGTH:
            raise self.error(f"a model's name has at most {MODEL_LENGTH} characters")
        return self.text

    def must_be_usd(self) -> None:
        """Amounts of another currency cannot be compared."""
        if self.text and self.text.upper() != "USD":
            raise self.error(f"amounts are in {self._shown()}, and only US dollars can be compared")

    def _shown(self) -> str:
        return repr(self.text[:40])
