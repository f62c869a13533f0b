"""Layouts of providers' usage files, as exported by their consoles in 2025 and 2026.

Each layout turns a row into usages: tokens, dollars, or both, of a day, a model, and a token class.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from cost_app.finance.invoices.cells import Cell

TOTAL = "total"
"""The class in files that don't distinguish classes."""
OTHER = "other"
"""The class of charges other than tokens: tools, storage."""

Row = Mapping[str, Cell]


@dataclass(frozen=True)
class InvoiceUsage:
    """The usage of one token class in a row. None if the row doesn't say."""

    day: date
    model: str
    token_class: str
    tokens: int | None = None
    dollars: Decimal | None = None


@dataclass(frozen=True)
class Layout:
    """A kind of file. Each of `needs` must be present under one of its names."""

    title: str
    needs: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...]
    """The numeric columns that a file can have."""
    read: Callable[[Row], list[InvoiceUsage]]
    has_tokens: bool
    has_amounts: bool

    def fits(self, columns: Collection[str]) -> bool:
        """Whether these columns match the layout."""
        return all(any(name in columns for name in names) for names in self.needs)

    @property
    def columns_wanted(self) -> list[str]:
        """The name shown to users."""
        return [" or ".join(names) for names in self.needs]


DAY = ("usage_date_utc", "utc_date", "start_time_iso", "start_time", "date", "aggregation_timestamp", "timestamp")
OPENAI_MODEL = ("model", "snapshot_id")
OPENAI_INPUT = ("input_tokens", "n_context_tokens_total")
OPENAI_CACHED = ("input_cached_tokens", "n_cached_context_tokens_total")
OPENAI_OUTPUT = ("output_tokens", "n_generated_tokens_total")
OPENAI_UNCACHED = "input_uncached_tokens"
OPENAI_NUMBERS = (*OPENAI_INPUT, *OPENAI_CACHED, *OPENAI_OUTPUT, OPENAI_UNCACHED)
OPENAI_CLASSES = {"input": "input", "cached input": "cache_read", "output": "output"}
ANTHROPIC_TOKENS = {
    "usage_input_tokens_no_cache": "input",
    "usage_input_tokens_cache_read": "cache_read",
    "usage_input_tokens_cache_write": "cache_write",
    "usage_input_tokens_cache_write_5m": "cache_write",
    "usage_input_tokens_cache_write_1h": "cache_write",
    "usage_output_tokens": "output",
}
ANTHROPIC_WRITES = ("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h")
ANTHROPIC_CLASSES = {
    "input_no_cache": "input",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_write_5m": "cache_write",
    "input_cache_write_1h": "cache_write",
    "output": "output",
}
DEEPSEEK_CLASSES = {
    "input_cache_miss_tokens": "input",
    "input_cache_hit_tokens": "cache_read",
    "input_tokens": "input",
    "output_tokens": "output",
}
DEEPSEEK_COUNTS = {"request_count"}
"""Rows that don't count tokens."""


def is_currency(column: str) -> bool:
    """Whether a column holds the currency, by its lowercase name."""
    return column == "currency" or column.endswith("_currency")


def _one(row: Row, names: tuple[str, ...], read: Callable[[Cell], Any]) -> Cell:
    """The cell under one of these names, empty if the file has none. Raises CellError if several columns exist and
    differ, as read by `read`.
    """
    cells = [row[name] for name in names if name in row and row[name].text]
    for cell in cells[1:]:
        if read(cell) != read(cells[0]):
            raise cell.error(f"{cell.shown()} contradicts {cells[0].shown()} in column {cells[0].column}")
    return cells[0] if cells else next((row[name] for name in names if name in row), Cell(names[0], ""))


def _day(row: Row) -> date:
    return _one(row, DAY, Cell.day).day()


def _count(row: Row, names: tuple[str, ...]) -> Cell:
    return _one(row, names, Cell.tokens)


def _openai_usage(row: Row) -> list[InvoiceUsage]:
    """`input_tokens` includes cached tokens."""
    prompt, cached = _count(row, OPENAI_INPUT), _count(row, OPENAI_CACHED)
    if cached.tokens() > prompt.tokens():
        raise cached.error("more tokens are cached than the prompt has")
    found = {
        "input": prompt.tokens() - cached.tokens(),
        "cache_read": cached.tokens(),
        "output": _count(row, OPENAI_OUTPUT).tokens(),
    }
    plain = row.get(OPENAI_UNCACHED)
    if plain and plain.text and plain.tokens() != found["input"]:
        raise plain.error("cached and uncached tokens do not add up to the prompt")
    if not any(found.values()):
        return []
    day, model = _day(row), _one(row, OPENAI_MODEL, Cell.model).model()
    return [InvoiceUsage(day, model, name, tokens=tokens) for name, tokens in found.items() if tokens]


def _openai_costs(row: Row) -> list[InvoiceUsage]:
    """`line_item` is "gpt-4o-2024-08-06, input", or the name of a charge other than tokens."""
    amount = row["amount_value"].dollars()
    if not amount:
        return []
    row["amount_currency"].must_be_usd()
    item = row["line_item"]
    if not item.text:
        raise item.error("the line item is missing; group the export by line item")
    model, _, kind = item.text.rpartition(", ")
    token_class = OPENAI_CLASSES.get(kind.strip().lower(), OTHER)
    named = Cell("line_item", model) if token_class != OTHER else item
    return [InvoiceUsage(_day(row), named.model(), token_class, dollars=amount)]


def _anthropic_usage(row: Row) -> list[InvoiceUsage]:
    found = [(name, row[column].tokens()) for column, name in ANTHROPIC_TOKENS.items() if column in row]
    whole = row.get("usage_input_tokens_cache_write")
    if whole and whole.tokens() and any(row[name].tokens() for name in ANTHROPIC_WRITES if name in row):
        raise whole.error("the file has cache writes both in total and by lifetime; remove one of them")
    if not any(tokens for _, tokens in found):
        return []
    day, model = _day(row), row["model_version"].model()
    return [InvoiceUsage(day, model, name, tokens=tokens) for name, tokens in found if tokens]


def _anthropic_costs(row: Row) -> list[InvoiceUsage]:
    """Rows without a token type are for other charges, such as web search."""
    amount = row["cost_usd"].dollars()
    if not amount:
        return []
    kind = row["token_type"]
    token_class = ANTHROPIC_CLASSES.get(kind.text.lower(), OTHER)
    if token_class != OTHER or row["model"].text:
        model = row["model"].model()
    else:
        model = kind.model().lower() if kind.text else OTHER
    return [InvoiceUsage(_day(row), model, token_class, dollars=amount)]


def _deepseek_amounts(row: Row) -> list[InvoiceUsage]:
    """One row per class. `price` is in dollars per token."""
    kind = row["type"].text.lower()
    if kind in DEEPSEEK_COUNTS:
        return []
    if kind not in DEEPSEEK_CLASSES:
        raise row["type"].error(f"{kind[:40]!r} is an unknown type; expected {', '.join(DEEPSEEK_CLASSES)}")
    tokens = row["amount"].tokens()
    dollars = row["price"].dollars() * tokens if row["price"].text else None
    day, model = _day(row), row["model"].model()
    return [InvoiceUsage(day, model, DEEPSEEK_CLASSES[kind], tokens, dollars)]


def _deepseek_costs(row: Row) -> list[InvoiceUsage]:
    row["currency"].must_be_usd()
    return [InvoiceUsage(_day(row), row["model"].model(), TOTAL, dollars=row["cost"].dollars())]


LAYOUTS = {
    "openai": [
        Layout("usage", (DAY, OPENAI_MODEL, OPENAI_INPUT, OPENAI_OUTPUT), OPENAI_NUMBERS, _openai_usage, True, False),
        Layout(
            "costs",
            (DAY, ("line_item",), ("amount_value",), ("amount_currency",)),
            ("amount_value",),
            _openai_costs,
            False,
            True,
        ),
    ],
    "anthropic": [
        Layout(
            "usage",
            (DAY, ("model_version",), ("usage_input_tokens_no_cache",), ("usage_output_tokens",)),
            tuple(ANTHROPIC_TOKENS),
            _anthropic_usage,
            True,
            False,
        ),
        Layout(
            "costs", (DAY, ("model",), ("token_type",), ("cost_usd",)), ("cost_usd",), _anthropic_costs, False, True
        ),
    ],
    "deepseek": [
        Layout(
            "amounts",
            (DAY, ("model",), ("type",), ("price",), ("amount",)),
            ("price", "amount"),
            _deepseek_amounts,
            True,
            True,
        ),
        Layout("costs", (DAY, ("model",), ("cost",), ("currency",)), ("cost",), _deepseek_costs, False, True),
    ],
}
"""The supported providers and their layouts."""
