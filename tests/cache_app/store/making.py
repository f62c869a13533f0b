"""Entries and vectors for tests, in organizations that no other test uses."""

import secrets
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiinfra.providers.base import TokenUsage
from cache_app.store.entries import Entry

DIMENSIONS = 32
HOUR_MS = 3_600_000
PARTITION = "a" * 32


def new_organization() -> int:
    """An unused organization ID. It doesn't use `random`, which hypothesis seeds."""
    return 1 + secrets.randbelow(2**48)


def id_of(number: int) -> str:
    """The ID of the test entry with this number."""
    return f"{number:032x}"


def now_ms() -> int:
    """The current time in milliseconds."""
    return round(time.time() * 1000)


def make_entry(organization_id: int, number: int = 1, **fields: Any) -> Entry:
    """An entry that expires in an hour."""
    entry = Entry(
        id=id_of(number),
        organization_id=organization_id,
        partition=PARTITION,
        question=f"What is question {number}?",
        response={"role": "assistant", "content": f"Answer {number}", "finishReason": "stop"},
        usage=TokenUsage(input=10, output=5),
        provider="deepseek",
        model="deepseek-chat",
        created_ms=now_ms(),
        expires_ms=now_ms() + HOUR_MS,
    )
    return replace(entry, **fields)


def vector_of(number: int, dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """The unit vector for this number, nearly orthogonal to those of other numbers."""
    drawn = np.random.default_rng(number).normal(size=dimensions).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn)
    return unit
