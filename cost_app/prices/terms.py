"""What a price says, apart from when it holds: the columns that a version, a proposal and a source's row share."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from cost_app.models import PriceTier
from cost_app.models.prices import PriceColumns
from cost_app.prices.windows import WindowError, parse_window

AMOUNTS = ("input", "cache_read", "cache_write", "output")
LONG_AMOUNTS = tuple(f"long_{name}" for name in AMOUNTS)
PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
MODEL = re.compile(r"[^\s/?#%][^\s?#%]{0,127}")
MOST_NANO = 10**15
"""A million dollars per million tokens: more is a slip of the pen, and less fits into 64 bits with any usage."""


class PriceError(ValueError):
    """The price makes no sense, or the book cannot take it; the message says why."""


@dataclass(frozen=True)
class PriceTerms:
    """Amounts are nano-dollars per million tokens. Long-context amounts are given all or not at all."""

    provider: str
    model: str
    input: int
    cache_read: int
    cache_write: int
    output: int
    source: str
    tier: str = PriceTier.STANDARD
    window_name: str = ""
    window: list[dict[str, Any]] = field(default_factory=list)
    long_context_from: int | None = None
    long_input: int | None = None
    long_cache_read: int | None = None
    long_cache_write: int | None = None
    long_output: int | None = None

    @classmethod
    def of(cls, row: PriceColumns) -> Self:
        """The terms of a version or of a proposal."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What has one price at a time."""
        return self.provider, self.model, self.tier, self.window_name

    @property
    def columns(self) -> dict[str, Any]:
        """For a row of either table."""
        return asdict(self)

    def costs_as(self, other: Self) -> bool:
        """Whether both ask the same, whatever their sources."""
        return {**self.columns, "source": ""} == {**other.columns, "source": ""}

    def check(self) -> None:
        """Raises PriceError."""
        if not PROVIDER.fullmatch(self.provider):
            raise PriceError("a provider is named with small letters, digits, - and _")
        if not MODEL.fullmatch(self.model):
            raise PriceError("a model's name has no spaces and none of ? # %")
        if self.tier not in PriceTier.values:
            raise PriceError(f"a tier is one of {', '.join(PriceTier.values)}")
        if not self.source or len(self.source) > 200:
            raise PriceError("say where the price was read, in at most 200 characters")
        self._check_amounts()
        self._check_window()

    def _check_amounts(self) -> None:
        amounts = [getattr(self, name) for name in AMOUNTS]
        long = [getattr(self, name) for name in ("long_context_from", *LONG_AMOUNTS)]
        if any(value is None for value in long) and any(value is not None for value in long):
            raise PriceError("prices of long prompts are given all, with the length where they begin, or not at all")
        if not all(0 <= value <= MOST_NANO for value in [*amounts, *long] if value is not None):
            raise PriceError("amounts are not negative, and at most a million dollars")

    def _check_window(self) -> None:
        try:
            parse_window(self.window)
        except WindowError as error:
            raise PriceError(str(error)) from error
        if bool(self.window) != bool(self.window_name) or len(self.window_name) > 32:
            raise PriceError("hours of the week have a name of at most 32 characters, and a name has hours")
