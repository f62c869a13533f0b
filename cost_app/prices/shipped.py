"""Prices that every installation starts with, in US dollars per million tokens.

OpenAI and deepseek-chat: the specification's figures; it has no discount for cached tokens, so cached ones cost the
same. Anthropic: claude-haiku-4-5 from Anthropic's price page (5-minute cache writes 1.25x, reads 0.1x). DeepSeek V4:
from DeepSeek's price page, twice the price in the peak hours of working days; kept by hand, because the price list that
`import_prices` reads has no weekdays. text-embedding-3-small: OpenAI's price from genai-prices, from which
`import_prices` takes only chat models; the semantic cache can be set to use it. All other models come from that list.
"""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple

from aiinfra.money import NANO
from cost_app.models import ModelAlias, ModelPrice, ProviderLimit, ToolFee

SPECIFICATION = "specification of 2025-08-29"
DEEPSEEK = "DeepSeek price page, 2026-11-22"
EFFECTIVE_FROM = datetime(2025, 1, 1, tzinfo=UTC)
WORKING_DAYS = [0, 1, 2, 3, 4]
PEAK = [
    {"weekdays": WORKING_DAYS, "from": "01:00", "to": "04:00"},
    {"weekdays": WORKING_DAYS, "from": "06:00", "to": "10:00"},
]


class ShippedPrice(NamedTuple):
    """One row; amounts in dollars per million tokens."""

    provider: str
    model: str
    input: str
    cache_read: str
    cache_write: str
    output: str
    source: str
    effective_from: datetime = EFFECTIVE_FROM
    window_name: str = ""


def _flat(provider: str, model: str, prompt: str, output: str) -> ShippedPrice:
    return ShippedPrice(provider, model, prompt, prompt, prompt, output, SPECIFICATION)


def _peak_and_off_peak(
    model: str, since: datetime, peak: tuple[str, str, str], off: tuple[str, str, str]
) -> list[ShippedPrice]:
    """Each price is (input, cache read, output); DeepSeek charges nothing extra for writing its cache."""
    return [
        ShippedPrice("deepseek", model, prompt, read, prompt, output, DEEPSEEK, since, name)
        for name, (prompt, read, output) in (("peak", peak), ("", off))
    ]


FLASH_SINCE = datetime(2026, 9, 10, tzinfo=UTC)
PRO_SINCE = datetime(2026, 8, 23, tzinfo=UTC)
FLASH_PEAK, FLASH_OFF_PEAK = ("0.30", "0.006", "1.20"), ("0.15", "0.003", "0.60")
PRO_PEAK, PRO_OFF_PEAK = ("1.32", "0.044", "3.96"), ("0.66", "0.022", "1.98")

SHIPPED_PRICES = [
    _flat("deepseek", "deepseek-chat", "0.14", "0.28"),
    _flat("openai", "gpt-4", "10", "30"),
    _flat("openai", "gpt-3.5-turbo", "0.50", "1.50"),
    ShippedPrice("openai", "text-embedding-3-small", "0.02", "0.02", "0.02", "0", "genai-prices, 2026-11-23"),
    ShippedPrice("anthropic", "claude-haiku-4-5", "1", "0.10", "1.25", "5", "Anthropic price page, 2026-11-22"),
    *_peak_and_off_peak("deepseek-flash", FLASH_SINCE, FLASH_PEAK, FLASH_OFF_PEAK),
    *_peak_and_off_peak("deepseek-v4-flash", FLASH_SINCE, FLASH_PEAK, FLASH_OFF_PEAK),
    *_peak_and_off_peak("deepseek-v4-pro", PRO_SINCE, PRO_PEAK, PRO_OFF_PEAK),
]


def add_shipped_prices(model: type[ModelPrice] | Any = ModelPrice) -> None:
    """Add missing shipped prices to the book. A migration passes its own `model`."""
    model.objects.bulk_create([model(**_columns(price)) for price in SHIPPED_PRICES], ignore_conflicts=True)


SHIPPED_LIMITS = [
    ("deepseek", "", 100, 2_400),
    ("openai", "gpt-4", 500, 1_800),
    ("openai", "gpt-3.5-turbo", 3_500, 800),
]
"""(provider, model, calls per minute, expected latency in ms): the specification's figures. It has one limit for all of
DeepSeek."""


def add_shipped_limits(model: type[ProviderLimit] | Any = ProviderLimit) -> None:
    """Add missing shipped provider limits. A migration passes its own `model`."""
    columns = ("provider", "model", "requests_per_minute", "expected_latency_ms")
    rows = [model(**dict(zip(columns, limit, strict=True))) for limit in SHIPPED_LIMITS]
    model.objects.bulk_create(rows, ignore_conflicts=True)


GENAI_PRICES = "genai-prices, 2026-11-23"
SHIPPED_FEES = [
    ("anthropic", "web_search", "0.01", GENAI_PRICES),
    ("anthropic", "web_fetch", "0", "assumed: genai-prices has no fee, and what is fetched is billed as tokens"),
    ("openai", "web_search", "0.01", GENAI_PRICES),
    ("openai", "file_search", "0.0025", GENAI_PRICES),
]
"""(provider, tool, dollars per use, source): $10 for 1,000 web searches, $2.50 for 1,000 file searches."""


def add_shipped_fees(model: type[ToolFee] | Any = ToolFee) -> None:
    """Add missing shipped tool fees to the book. A migration passes its own `model`."""
    rows = [
        model(provider=provider, tool=tool, nano_per_use=nano_of(dollars), source=source, effective_from=EFFECTIVE_FROM)
        for provider, tool, dollars, source in SHIPPED_FEES
    ]
    model.objects.bulk_create(rows, ignore_conflicts=True)


SHIPPED_ALIASES = [
    ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
    ("openai", "gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
    ("openai", "gpt-4-0613", "gpt-4"),
    ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
    ("openai", "gpt-4o-2024-11-20", "gpt-4o"),
    ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
    ("openai", "gpt-4.1-2025-04-14", "gpt-4.1"),
    ("openai", "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
]
"""(provider, alias, priced model): snapshots that genai-prices lists by name."""


def add_shipped_aliases(model: type[ModelAlias] | Any = ModelAlias) -> None:
    """Add missing shipped aliases, approved. A migration passes its own `model`."""
    rows = [
        model(
            provider=provider,
            alias=alias,
            model=priced,
            source=GENAI_PRICES,
            state="approved",
            effective_from=EFFECTIVE_FROM,
        )
        for provider, alias, priced in SHIPPED_ALIASES
    ]
    model.objects.bulk_create(rows, ignore_conflicts=True)


def nano_of(amount: Decimal | str) -> int:
    """Dollars as nano-dollars, rounded up: a price list may be finer than the book."""
    nano = Decimal(amount) * NANO
    return int(nano.to_integral_value(rounding=ROUND_CEILING))


def _columns(price: ShippedPrice) -> dict[str, Any]:
    amounts = {name: nano_of(getattr(price, name)) for name in ("input", "cache_read", "cache_write", "output")}
    window = PEAK if price.window_name else []
    others = ("provider", "model", "source", "effective_from", "window_name")
    return {**{name: getattr(price, name) for name in others}, **amounts, "window": window}
