"""Ledger rows, as the FOCUS export reads them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aiinfra.providers.base import TokenUsage
from cost_app.finance.allocation import PRICED_CLASSES
from cost_app.models import LedgerKind
from cost_app.models.ledger import usage_in

COLUMNS = (
    "pk", "at", "kind", "provider", "model", "nano", "calls", "api_key_id", "user_ref", "tags",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "tier",
    "tool_uses", "attempt_id", "attempt__price_id", "attempt__dispatched_at", "attempt__finished_at",
)  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """Who is charged. `api_key_id` is a row ID, None without a key; `tags` is a JSON list."""

    provider: str
    model: str
    api_key_id: int | None
    user: str
    tags: str


@dataclass(frozen=True)
class Row:
    """A ledger row with `COLUMNS`."""

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
    cache_write_1h_tokens: int
    output_tokens: int
    tier: str
    tool_uses: dict[str, int]
    attempt_id: UUID | None
    price_id: int | None
    dispatched_at: datetime | None
    finished_at: datetime | None

    @property
    def usage(self) -> TokenUsage:
        """The call's usage."""
        return usage_in(vars(self))

    @property
    def tokens(self) -> tuple[int, ...]:
        """Its tokens by priced class."""
        usage = self.usage
        return tuple(getattr(usage, name) for name in PRICED_CLASSES)

    @property
    def owner(self) -> Owner:
        """Who is charged."""
        tags = json.dumps(sorted(self.tags), ensure_ascii=False)
        return Owner(self.provider, self.model, self.api_key_id, self.user_ref, tags)


def with_overruns(rows: Iterable[Row], overruns: Mapping[Any, int]) -> Iterator[Row]:
    """Merge a call's overrun, which is booked separately, into its row."""
    merged: set[UUID | None] = set()
    for row in rows:
        if row.kind == LedgerKind.OVERRUN and row.attempt_id in merged:
            continue
        if row.kind == LedgerKind.USAGE and row.attempt_id in overruns:
            merged.add(row.attempt_id)
            yield Row(**{**vars(row), "nano": row.nano + overruns[row.attempt_id]})
        else:
            yield row
