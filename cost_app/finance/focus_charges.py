"""What the FOCUS export charges for: the ledger's rows of a day, summed up for everything that a line tells apart.

A line is of one day, model, API key, user, set of tags and price; usage is further split by token class. Cache hits are
no consumption and are left out. Corrections are lines of their own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from cost_app.calendar import ONE_DAY, Calendar
from cost_app.finance.allocation import TOKEN_CLASSES, PriceList, Rates, allocate, rates_of
from cost_app.finance.months import Month, month_at
from cost_app.models import LedgerEntry, LedgerKind, ModelPrice

ROWS_AT_ONCE = 2_000
CORRECTIONS = (LedgerKind.ADJUST, LedgerKind.MANUAL)
"""Kinds of rows that are no usage of their own."""
UNITS_PER_DOLLAR_EXPONENT = -15
"""Tokens x nano-dollars per million tokens are units of 1e-15 dollars."""
COLUMNS = (
    "pk", "at", "kind", "provider", "model", "nano", "calls", "api_key_id", "user_ref", "tags",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
    "attempt_id", "attempt__price_id", "attempt__finished_at",
)  # fmt: skip


@dataclass(frozen=True)
class Closing:
    """A closed month, when it was closed, and the last ledger row that it counts."""

    month: Month
    closed_at: datetime
    max_id: int


@dataclass(frozen=True)
class Segment:
    """One day of the organization within one billing period: where a bound cuts a day, a part of it."""

    day: date
    starts_at: datetime
    ends_at: datetime
    month: Month


@dataclass(frozen=True)
class Owner:
    """Whom a charge is for. `api_key_id` is a row id, None without a key; `tags` is a JSON list."""

    provider: str
    model: str
    api_key_id: int | None
    user: str
    tags: str


@dataclass(frozen=True)
class Charge:
    """One line. `nano` in nano-dollars, `list_dollars` exact; `token_class` is "" for what no class is the cause of."""

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


@dataclass(frozen=True)
class _Row:
    """A row of the ledger, by `COLUMNS`."""

    pk: int
    at: datetime
    kind: str
    provider: str
    model: str
    nano: int
    calls: int
    api_key_id: int | None
    user_ref: str
    tags: list[str]
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    attempt_id: UUID | None
    price_id: int | None
    finished_at: datetime | None

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.input_tokens, self.cache_read_tokens, self.cache_write_tokens, self.output_tokens

    @property
    def owner(self) -> Owner:
        tags = json.dumps(sorted(self.tags), ensure_ascii=False)
        return Owner(self.provider, self.model, self.api_key_id, self.user_ref, tags)


@dataclass(frozen=True)
class _Kind:
    """What lines are told apart by beside their owner. `is_listed`: the cost is that of the tokens at the rates."""

    is_usage: bool
    is_correction: bool
    price_id: int | None = None
    rates: Rates | None = None
    is_listed: bool = False


@dataclass
class _Sums:
    nano: int = 0
    calls: int = 0
    tokens: list[int] = field(default_factory=lambda: [0] * len(TOKEN_CLASSES))
    price: ModelPrice | None = None


class Charges:
    """The charges of one organization from one instant to before another; its scope is needed while they are read."""

    def __init__(self, organization_id: int, calendar: Calendar, closings: Sequence[Closing]) -> None:
        self.organization_id, self.calendar, self.closings = organization_id, calendar, closings
        self.prices = PriceList()

    def between(self, starts_at: datetime, ends_at: datetime) -> Iterator[Charge]:
        """By day; the memory is that of one day's lines."""
        entries = LedgerEntry.objects.filter(
            organization_id=self.organization_id, at__gte=starts_at, at__lt=ends_at
        ).exclude(kind=LedgerKind.CACHE_HIT)
        overruns = dict(
            entries.filter(kind=LedgerKind.OVERRUN, output_tokens=0, input_tokens=0).values_list("attempt_id", "nano")
        )
        rows = entries.order_by("at", "id").values_list(*COLUMNS).iterator(chunk_size=ROWS_AT_ONCE)
        yield from self._charges(_with_overruns((_Row(*row) for row in rows), overruns))

    def _charges(self, rows: Iterable[_Row]) -> Iterator[Charge]:
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

    def _add(self, groups: dict[tuple[Owner, _Kind], _Sums], row: _Row) -> None:
        is_usage, price, is_listed = row.kind not in CORRECTIONS, None, False
        if is_usage and any(row.tokens):
            price, is_listed = self.prices.billed_at(
                row.provider, row.model, row.at, row.tokens, row.nano, row.price_id
            )
        kind = _Kind(
            is_usage,
            self._corrects_a_closed_month(row),
            price.pk if price else None,
            rates_of(price, row.tokens) if price else None,
            is_listed,
        )
        sums = groups.setdefault((row.owner, kind), _Sums(price=price))
        sums.nano += row.nano
        sums.calls += row.calls
        sums.tokens = [one + other for one, other in zip(sums.tokens, row.tokens, strict=True)]

    def _corrects_a_closed_month(self, row: _Row) -> bool:
        """FOCUS: a correction is of a period that was invoiced before. Ours are when they are closed."""
        called_at = row.finished_at if row.kind == LedgerKind.ADJUST and row.finished_at else row.at
        for closing in self.closings:
            month = closing.month
            is_later = row.at >= closing.closed_at or (row.at < month.ends_at and row.pk > closing.max_id)
            if month.starts_at <= called_at < month.ends_at and is_later:
                return True
        return False


def _with_overruns(rows: Iterable[_Row], overruns: Mapping[Any, int]) -> Iterator[_Row]:
    """What a call cost above its bound is booked beside it; here both are one row again."""
    merged: set[UUID | None] = set()
    for row in rows:
        if row.kind == LedgerKind.OVERRUN and row.attempt_id in merged:
            continue
        if row.kind == LedgerKind.USAGE and row.attempt_id in overruns:
            merged.add(row.attempt_id)
            yield _Row(**{**vars(row), "nano": row.nano + overruns[row.attempt_id]})
        else:
            yield row


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
    return *whom, not kind.is_usage, kind.is_correction, kind.price_id or 0, kind.rates or (), kind.is_listed


def _usage(segment: Segment, owner: Owner, kind: _Kind, sums: _Sums) -> Iterator[Charge]:
    """A line for each token class; what tokens are not the cause of is a line of calls."""
    rates = kind.rates or (None,) * len(TOKEN_CLASSES)
    weights = [count * (rate or 0) for count, rate in zip(sums.tokens, rates, strict=True)]
    weights = weights if any(weights) or kind.rates else sums.tokens
    charged = sums.nano if any(weights) else 0
    for name, count, rate, part in zip(TOKEN_CLASSES, sums.tokens, rates, allocate(charged, weights), strict=True):
        if count:
            listed = _list_dollars(count, rate, part, kind)
            yield Charge(
                segment, owner, part, kind.is_correction, True, name, count, 0, sums.price, rate, listed
            )  # fmt: skip
    if sums.nano != charged:
        yield Charge(segment, owner, sums.nano - charged, kind.is_correction, calls=sums.calls)


def _list_dollars(count: int, rate: int | None, nano: int, kind: _Kind) -> Decimal | None:
    """Tokens x rate. Calls are rounded up to a nano-dollar each, at list price too: so never below what was billed,
    where that is the list price."""
    if rate is None:
        return None
    exact = Decimal(count * rate).scaleb(UNITS_PER_DOLLAR_EXPONENT)
    return max(exact, Decimal(nano).scaleb(-9)) if kind.is_listed else exact
