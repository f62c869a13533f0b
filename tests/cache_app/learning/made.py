"""Hits, entries, and judged pairs for tests."""

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CacheHit, JudgedBy, JudgedPair, Layer
from cache_app.question import entry_id
from cache_app.store import entries
from cache_app.store.entry import Entry

PARTITION = "0" * 32
EMBEDDER = "minilm-l6-v2-int8/1"
CACHED = "How do I report scope 1 emissions?"
ASKED = "How are scope 1 emissions reported?"
ENTRY = entry_id(PARTITION, CACHED)


def make_hit(organization: Organization, asked: str = ASKED, **columns: Any) -> CacheHit:
    """Create a semantic hit on the entry of `CACHED` at the current time."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "organization": organization,
        "layer": Layer.SEMANTIC,
        "similarity": 0.91,
        "entry_id": ENTRY,
        "partition": PARTITION,
        "embedder": EMBEDDER,
        "question": asked,
        "cached_question": CACHED,
        "answer": "In the first table.",
        "saved_nano": 100,
        **columns,
    }
    with organization_scope(organization.pk):
        return CacheHit.objects.insert(CacheHit(**values))


def make_entry(organization: Organization, text: str = CACHED, **values: object) -> Entry:
    """Store an entry that was created a minute ago."""
    now_ms = round(time.time() * 1000)
    fields: dict[str, Any] = {"created_ms": now_ms - 60_000, "expires_ms": now_ms + 3_600_000, **values}
    entry = Entry(
        id=entry_id(PARTITION, text),
        organization_id=organization.pk,
        partition=PARTITION,
        question=text,
        response={"role": "assistant", "content": "In the first table.", "finishReason": "stop"},
        usage=TokenUsage(input=20, output=10),
        provider="openai",
        model="gpt-4",
        **fields,
    )
    entries.put(entry, vector=None)
    return entry


def make_pairs(
    organization: Organization, number: int, similarity: float, *, is_right: bool = True, **columns: object
) -> None:
    """Create judged pairs of different texts with the same similarity."""
    values = {"judged_by": JudgedBy.REASK, "embedder": EMBEDDER, **columns}
    JudgedPair.objects.bulk_create(
        JudgedPair(
            organization=organization,
            partition=PARTITION,
            entry_id=uuid4().hex,
            question_id=uuid4().hex,
            similarity=similarity,
            is_right=is_right,
            at=timezone.now() - timedelta(hours=1),
            **values,
        )
        for _ in range(number)
    )
