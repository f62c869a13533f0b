"""The charges of the FOCUS export: the ledger rows of a day, grouped into lines.

A line has one day, model, API key, user, set of tags and price. Usage is further split by token class and billed tool.
Cache hits are not consumption and are omitted. Corrections get separate lines.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from cost_app.calendar import ONE_DAY, Calendar
from cost_app.finance.allocation import PRICED_CLASSES, PriceList, Rates, allocate, rates_of
from cost_app.finance.focus_rows import COLUMNS, Owner, Row, with_overruns
from cost_app.finance.months import Month, month_at
from cost_app.models import LedgerEntry, LedgerKind, ModelPrice
from cost_app.prices.pricing import TOKENS_PER_PRICE

ROWS_AT_ONCE = 2_000
CORRECTIONS = (LedgerKind.ADJUST, LedgerKind.MANUAL)
"""Kinds of rows that don't count as separate usage."""
UNITS_PER_DOLLAR_EXPONENT = -15
"""Tokens x nano-dollars per million tokens are units of 1e-15 dollars."""


@dataclass(frozen=True)
class Closing:
    """A closed month, when it was closed, and the last ledger row that it includes."""

    month: Month
    closed_at: datetime
    max_id: int


@dataclass(frozen=True)
class Segment:
    """One day of the organization within one billing period. If a period's bound is inside a day, only the part in the
    period.
    """

    day: date
    starts_at: datetime
    ends_at: datetime
    month: Month


@dataclass(frozen=True)
class Charge:
    """One line. `nano` in nano-dollars, `list_dollars` exact.

    The quantity is tokens of `token_class`, `uses` of `tool`, or calls. `rate` is nano-dollars per million of either.
    """

    segment: Segment
    owner: Owner
    nano: int
    is_correction: bool = False
    is_usage: bool = True
    token_class: str = ""
    tokens: int = 0
    calls: int = 0
    price: ModelPrice | None = None
    rate: int | None = None
    list_dollars: Decimal | None = None
    tool: str = ""
    uses: int = 0
    tier: str = ""


@dataclass(frozen=True)
class _Kind:
    """Grouping key of lines, besides their owner. `is_listed`: the cost equals the usage at the rates.

    `fees` are nano-dollars per use of each tool, None for a tool without a fee.
    """

    is_usage: bool
    is_correction: bool
    price_id: int | None = None
    rates: Rates | None = None
    fees: tuple[tuple[str, int | None], ...] = ()
    tier: str = ""
    is_listed: bool = False


@dataclass
class _Sums:
    nano: int = 0
    calls: int = 0
    tokens: list[int] = field(default_factory=lambda: [0] * len(PRICED_CLASSES))
    tools: Counter[str] = field(default_factory=Counter)
    price: ModelPrice | None = None


class Charges:
    """The charges of one organization from `start` (inclusive) to `end` (exclusive). Iterate in its scope."""

    def __init__(self, organization_id: int, calendar: Calendar, closings: Sequence[Closing]) -> None:
        self.organization_id, self.calendar, self.closings = organization_id, calendar, closings
        self.prices = PriceList()

    def between(self, starts_at: datetime, ends_at: datetime) -> Iterator[Charge]:
        """Yields day by day, so only one day's lines are in memory."""
        entries = LedgerEntry.objects.filter(
            organization_id=self.organization_id, at__gte=starts_at, at__lt=ends_at
        ).exclude(kind=LedgerKind.CACHE_HIT)
        overruns = dict(
            entries.filter(kind=LedgerKind.OVERRUN, output_tokens=0, input_tokens=0).values_list("attempt_id", "nano")
        )
        rows = entries.order_by("at", "id").values_list(*COLUMNS).iterator(chunk_size=ROWS_AT_ONCE)
        yield from self._charges(with_overruns((Row(*row) for row in rows), overruns))

    def _charges(self, rows: Iterable[Row]) -> Iterator[Charge]:
        segment, groups = None, dict[tuple[Owner, _Kind], _Sums]()
        for row in rows:
            if segment is None or row.at >= segment.ends_at:
                yield from _lines(segment, groups)
                segment, groups = self._segment(row.at), {}
            self._add(groups, row)
        yield from _lines(segment, groups)

    def _segment(self, at: datetime) -> Segment:
        month = month_at(self.calendar, [closing.month for closing in self.closings], at)
        day = self.calendar.day_of(at)
        starts_at, ends_at = self.calendar.begin_of(day), self.calendar.begin_of(day + ONE_DAY)
        return Segment(day, max(starts_at, month.starts_at), min(ends_at, month.ends_at), month)

    def _add(self, groups: dict[tuple[Owner, _Kind], _Sums], row: Row) -> None:
        kind, price = _Kind(row.kind not in CORRECTIONS, self._corrects_a_closed_month(row)), None
        if kind.is_usage and (any(row.tokens) or row.tool_uses):
            kind, price = self._priced(kind, row)
        sums = groups.setdefault((row.owner, kind), _Sums(price=price))
        sums.nano += row.nano
        sums.calls += row.calls
        sums.tools.update(row.tool_uses)
        sums.tokens = [one + other for one, other in zip(sums.tokens, row.tokens, strict=True)]

    def _priced(self, kind: _Kind, row: Row) -> tuple[_Kind, ModelPrice | None]:
        """Prices and fees are those in force when the call was sent."""
        left_at, usage = row.dispatched_at or row.at, row.usage
        price, is_listed = self.prices.billed_at(row.provider, row.model, left_at, usage, row.nano, row.price_id)
        fees = self.prices.fees_at(price, left_at) if price else {}
        kind = replace(
            kind,
            price_id=price.pk if price else None,
            rates=rates_of(price, usage.prompt) if price else None,
            fees=tuple((tool, fees.get(tool)) for tool in sorted(row.tool_uses)),
            tier=row.tier,
            is_listed=is_listed,
        )
        return kind, price

    def _corrects_a_closed_month(self, row: Row) -> bool:
        """In FOCUS, a correction changes an invoiced period. Here, a closed month is an invoiced period."""
        called_at = row.finished_at if row.kind == LedgerKind.ADJUST and row.finished_at else row.at
        for closing in self.closings:
            month = closing.month
            is_later = row.at >= closing.closed_at or (row.at < month.ends_at and row.pk > closing.max_id)
            if month.starts_at <= called_at < month.ends_at and is_later:
                return True
        return False


def _lines(segment: Segment | None, groups: dict[tuple[Owner, _Kind], _Sums]) -> Iterator[Charge]:
    if segment is None:
        return
    for (owner, kind), sums in sorted(groups.items(), key=_order):
        if kind.is_usage:
            yield from _usage(segment, owner, kind, sums)
        elif sums.nano or any(sums.tokens):
            yield Charge(segment, owner, sums.nano, kind.is_correction, is_usage=False, tokens=sum(sums.tokens))


def _order(item: tuple[tuple[Owner, _Kind], _Sums]) -> tuple[object, ...]:
    owner, kind = item[0]
    whom = owner.provider, owner.model, owner.api_key_id or 0, owner.user, owner.tags
    price = kind.price_id or 0, kind.rates or (), kind.tier, str(kind.fees), kind.is_listed
    return *whom, not kind.is_usage, kind.is_correction, *price


def _usage(segment: Segment, owner: Owner, kind: _Kind, sums: _Sums) -> Iterator[Charge]:
    """One line per token class and tool, and one line of calls for any remaining cost."""
    lines = [*_token_lines(kind, sums), *_tool_lines(kind, sums)]
    weights = [line.quantity * (line.rate or 0) for line in lines]
    if not any(weights) and not kind.rates:
        weights = [line.quantity if line.token_class else 0 for line in lines]
    charged = sums.nano if any(weights) else 0
    for line, part in zip(lines, allocate(charged, weights), strict=True):
        if line.quantity:
            yield Charge(
                segment, owner, part, kind.is_correction,
                token_class=line.token_class, tokens=line.quantity if line.token_class else 0,
                tool=line.tool, uses=line.quantity if line.tool else 0,
                price=sums.price, rate=line.rate, tier=kind.tier,
                list_dollars=_list_dollars(line.quantity, line.rate, part, kind),
            )  # fmt: skip
    if sums.nano != charged:
        yield Charge(segment, owner, sums.nano - charged, kind.is_correction, calls=sums.calls)


class _Line(NamedTuple):
    """The quantity, and its rate in nano-dollars per million."""

    token_class: str
    tool: str
    quantity: int
    rate: int | None


def _token_lines(kind: _Kind, sums: _Sums) -> Iterator[_Line]:
    rates = kind.rates or (None,) * len(PRICED_CLASSES)
    for name, count, rate in zip(PRICED_CLASSES, sums.tokens, rates, strict=True):
        yield _Line(name, "", count, rate)


def _tool_lines(kind: _Kind, sums: _Sums) -> Iterator[_Line]:
    for tool, fee in kind.fees:
        yield _Line("", tool, sums.tools[tool], None if fee is None else fee * TOKENS_PER_PRICE)


def _list_dollars(count: int, rate: int | None, nano: int, kind: _Kind) -> Decimal | None:
    """Count x rate. Each call is rounded up to a whole nano-dollar, as billing does, so that the list cost is never
    below the billed cost at list price.
    """
    if rate is None:
        return None
    exact = Decimal(count * rate).scaleb(UNITS_PER_DOLLAR_EXPONENT)
    return max(exact, Decimal(nano).scaleb(-9)) if kind.is_listed else exact
