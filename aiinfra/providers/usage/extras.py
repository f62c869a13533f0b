"""What providers bill or report besides tokens: tool uses, the service tier, and the cost itself.

None of it decides whether the token counts are trusted: unreadable values are dropped, and remain in the raw counts.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from aiinfra.money import NANO
from aiinfra.providers.usage import spellings
from aiinfra.providers.usage.counts import UsageError, as_whole, at

TOOL_USES_MAX = 10_000
"""Uses of one tool in one call; a larger count is an error."""
TOOLS_MAX = 20
COST_MAX = Decimal(100_000)
"""Dollars for one call; a larger amount is an error."""
TICKS_PER_DOLLAR = 10_000_000_000

_LABEL = re.compile(r"[a-z0-9_-]{1,16}")
_TOOL = re.compile(r"[a-z0-9_-]{1,40}")


def tier_of(raw: Mapping[str, Any]) -> str:
    """The tier that answered: standard, flex, priority, batch, scale, or the provider's own name for another."""
    tier = raw.get(spellings.TIER)
    if not isinstance(tier, str):
        return "standard"
    label = tier.strip().lower()
    return spellings.TIERS.get(label, label if _LABEL.fullmatch(label) else "standard")


def tool_uses(raw: Mapping[str, Any]) -> dict[str, int]:
    """Non-zero uses by tool. If a tool has two counts, the larger one wins."""
    uses: dict[str, int] = {}
    for path in spellings.TOOL_USES:
        tools = _loosely(raw, path)
        for name, value in list(tools.items())[:TOOLS_MAX] if isinstance(tools, Mapping) else ():
            _note(uses, _tool_named(name), value)
    for path, tool in spellings.TOOL_COUNTS.items():
        _note(uses, tool, _loosely(raw, path))
    return dict(sorted(uses.items())[:TOOLS_MAX])


def reported_nano(raw: Mapping[str, Any]) -> int | None:
    """The cost in nano-dollars that the provider reports, rounded up; None if it reports none or an impossible one.

    A zero next to another amount is ignored.
    """
    ticks = _dollars(_loosely(raw, spellings.TICKS), per_dollar=TICKS_PER_DOLLAR)
    costs = (_dollars(_loosely(raw, path)) for path in spellings.COSTS)
    known = [each for each in (*costs, ticks) if each is not None]
    cost = next((each for each in known if each), known[0] if known else None)
    upstream = _dollars(_loosely(raw, spellings.UPSTREAM_COST))
    if upstream is not None and (not cost or raw.get(spellings.OWN_KEY) is True):
        cost = (cost or 0) + upstream
    if cost is None or cost > COST_MAX:
        return None
    return int((cost * NANO).to_integral_value(ROUND_CEILING))


def _note(uses: dict[str, int], tool: str, value: object) -> None:
    number = as_whole(value)
    if tool and number and number <= TOOL_USES_MAX:
        uses[tool] = max(number, uses.get(tool, 0))


def _tool_named(name: object) -> str:
    """`web_search` for `web_search_requests`; empty if this is not the name of a tool."""
    name = name.lower().removeprefix(spellings.TOOL_PREFIX) if isinstance(name, str) else ""
    if not _TOOL.fullmatch(name):
        return ""
    for suffix in spellings.TOOL_SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _dollars(value: object, *, per_dollar: int = 1) -> Decimal | None:
    """An amount, which gateways write as a number or a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value)[:40]) / per_dollar
    except (InvalidOperation, ValueError):
        return None
    return amount if amount.is_finite() and 0 <= amount <= COST_MAX else None


def _loosely(raw: Mapping[str, Any], path: str) -> Any:
    try:
        return at(raw, path)
    except UsageError:
        return None
