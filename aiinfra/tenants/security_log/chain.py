"""Hash chains: each row's digest covers the row and the digest before it, so a later change breaks every later link.

A plain SHA-256, so that anyone can check an exported log. Whoever can write to the database could rebuild a whole
chain; compare with a digest that was exported earlier to notice that.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from django.db import transaction

from aiinfra.tenants.security_log.models import ChainHead

SECURITY = "security"
"""The chain of the security log."""


class Chained(Protocol):
    """A row of a chain: `sequence` counts from 1 without gaps."""

    sequence: Any
    digest: Any

    def chained(self) -> Mapping[str, Any]:
        """The columns that the digest covers."""

    def save(self, *, force_insert: bool) -> None:
        """Insert the row."""


def append(chain: str, row: Chained) -> None:
    """Insert the row as the chain's next link. The chain stays locked until the transaction ends, so call it last."""
    with transaction.atomic(savepoint=False):
        head = _locked(chain)
        row.sequence = head.length + 1
        row.digest = digest_of(head.digest, row.sequence, row.chained())
        row.save(force_insert=True)
        ChainHead.objects.filter(name=chain).update(length=row.sequence, digest=row.digest)


def digest_of(previous: str, sequence: int, columns: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of the previous digest, the position and the columns."""
    text = json.dumps([previous, sequence, _canonical(columns)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Verified:
    """The result of a walk: how many links hold, and the first break ("" if there is none)."""

    chain: str
    length: int
    digest: str
    problem: str = ""


def verify(chain: str, rows: Iterable[Chained], anchors: Mapping[int, str] | None = None) -> Verified:
    """Walk the rows in ascending order and compare each link, then the head.

    `anchors` maps a sequence to the digest that was exported for it. Reads one row at a time, and links may be appended
    in the meantime.
    """
    head = _head(chain)
    expected = {**({head.length: head.digest} if head.length else {}), **(anchors or {})}
    length, digest = 0, ""
    for row in rows:
        if problem := _problem(row, length, digest, expected):
            return Verified(chain, length, digest, problem)
        length, digest = row.sequence, row.digest
    if lost := [sequence for sequence in expected if sequence > length]:
        return Verified(chain, length, digest, f"events {length + 1} to {max(lost)} are missing")
    if _head(chain).length < length:
        return Verified(chain, length, digest, f"event {length} was not appended by the product")
    return Verified(chain, length, digest)


def _problem(row: Chained, length: int, digest: str, expected: Mapping[int, str]) -> str:
    if row.sequence != length + 1:
        return f"event {length + 1} is missing; the next one is {row.sequence}"
    if row.digest != digest_of(digest, row.sequence, row.chained()):
        return f"event {row.sequence} was changed"
    if expected.get(row.sequence, row.digest) != row.digest:
        return f"event {row.sequence} is not the one that was written"
    return ""


def _head(chain: str) -> ChainHead:
    return ChainHead.objects.filter(name=chain).first() or ChainHead(name=chain)


def _locked(chain: str) -> ChainHead:
    """The head of the chain, locked on PostgreSQL; a transaction that writes to SQLite is alone anyway."""
    heads = ChainHead.objects.select_for_update().filter(name=chain)
    head = heads.first()
    if head is None:
        ChainHead.objects.bulk_create([ChainHead(name=chain)], ignore_conflicts=True)
        head = heads.get()
    return head


def _canonical(value: Any) -> Any:
    """The value as JSON has it, in one spelling: databases rewrite numbers, times and addresses."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return {"number": format(Decimal(repr(value)).normalize(), "f")}
    return str(value)
