"""The contents of a price, except when it applies: the columns that a version, a proposal and a source's row share."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from aiinfra.names import HIDDEN_CHARACTER
from cost_app.models import PriceTier
from cost_app.models.prices import PriceColumns
from cost_app.prices.windows import WindowError, parse_window

AMOUNTS = ("input", "cache_read", "cache_write", "output")
OPTIONAL_AMOUNT = "cache_write_1h"
STEP_AMOUNTS = ("input", "cache_read", "cache_write", OPTIONAL_AMOUNT, "output")
"""Every amount of one prompt length, in the order of the screens."""
STEP_KEYS = {"above", *AMOUNTS, OPTIONAL_AMOUNT}
STEPS_MAX = 4
PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
MODEL = re.compile(r"[^\s/?#%][^\s?#%]{0,127}")
TOKENS_MAX = 100_000_000
NANO_MAX = 10**15
"""A million dollars per million tokens: more is a typo, and anything less fits into 64 bits with any usage."""


class PriceError(ValueError):
    """The price is invalid, or the book cannot take it; the message says why."""


@dataclass(frozen=True)
class PriceTerms:
    """Amounts are nano-dollars per million tokens. Long-context amounts are given completely or not at all."""

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
    cache_write_1h: int | None = None
    """None: twice the input price."""
    long_prompts: list[dict[str, Any]] = field(default_factory=list)
    """Steps by ascending `above`: see `PriceColumns`."""

    @classmethod
    def of(cls, row: PriceColumns) -> Self:
        """The terms of a version or of a proposal."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies a price at any one time."""
        return self.provider, self.model, self.tier, self.window_name

    @property
    def columns(self) -> dict[str, Any]:
        """For a row of either table."""
        return asdict(self)

    def costs_as(self, other: Self) -> bool:
        """Whether both cost the same, whatever their sources."""
        return {**self.columns, "source": ""} == {**other.columns, "source": ""}

    def check(self) -> None:
        """Raises PriceError."""
        if not PROVIDER.fullmatch(self.provider):
            raise PriceError("A provider's name consists of lowercase letters, digits, -, and _.")
        if not MODEL.fullmatch(self.model) or HIDDEN_CHARACTER.search(self.model):
            raise PriceError("A model's name can't contain spaces, invisible characters, ?, #, or %.")
        if self.tier not in PriceTier.values:
            raise PriceError(f"A tier must be one of {', '.join(PriceTier.values)}.")
        if not self.source or len(self.source) > 200:
            raise PriceError("Enter where you found the price, in at most 200 characters.")
        self._check_steps()
        self._check_amounts()
        self._check_window()

    def _check_amounts(self) -> None:
        for amounts in (self.columns, *self.long_prompts):
            given = [amounts[name] for name in AMOUNTS]
            if amounts[OPTIONAL_AMOUNT] is not None:
                given.append(amounts[OPTIONAL_AMOUNT])
            if not all(type(amount) is int and 0 <= amount <= NANO_MAX for amount in given):
                raise PriceError("Amounts must be $0 to $1,000,000.")

    def _check_steps(self) -> None:
        if len(self.long_prompts) > STEPS_MAX or any(set(step) != STEP_KEYS for step in self.long_prompts):
            raise PriceError(f"Long prompts can have at most {STEPS_MAX} lengths, each with all its prices.")
        lengths = [step["above"] for step in self.long_prompts]
        if not all(type(length) is int and 0 <= length <= TOKENS_MAX for length in lengths):
            raise PriceError("The length of a long prompt must be a non-negative number of tokens.")
        if sorted(set(lengths)) != lengths:
            raise PriceError("Steps for long prompts must be in ascending order, each length once.")

    def _check_window(self) -> None:
        try:
            parse_window(self.window)
        except WindowError as error:
            raise PriceError(str(error)) from error
        if bool(self.window) != bool(self.window_name) or len(self.window_name) > 32:
            raise PriceError("Hours of the week need a name of at most 32 characters, and a name needs hours.")


def with_defaults(amounts: dict[str, Any]) -> dict[str, Any]:
    """Amounts of one prompt length; cache prices default to the input price. Raises PriceError without a price."""
    if amounts.get("input") is None or amounts.get("output") is None:
        raise PriceError("Each prompt length needs prices for input and output.")
    cached = {name: amounts.get(name) for name in ("cache_read", "cache_write")}
    filled = {name: amounts["input"] if amount is None else amount for name, amount in cached.items()}
    return {OPTIONAL_AMOUNT: None, **amounts, **filled}


def label_of(name: str) -> str:
    """The display name of an amount."""
    return "Cache write, 1 hour" if name == OPTIONAL_AMOUNT else name.replace("_", " ").capitalize()
