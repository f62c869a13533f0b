"""Entries for tests, in an organization that no other test has."""

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
    """An id that is in use nowhere else, whatever hypothesis does to `random`."""
    return 1 + secrets.randbelow(2**48)


def id_of(number: int) -> str:
    """The id of the test's entry of that number."""
    return f"{number:032x}"


def now_ms() -> int:
    """The time, in milliseconds."""
    return round(time.time() * 1000)


def make_entry(organization_id: int, number: int = 1, **fields: Any) -> Entry:
    """An entry that lives for an hour."""
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
    """The test's vector of that number, of length one and at right angles to others, more or less."""
    drawn = np.random.default_rng(number).normal(size=dimensions).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn)
    return unit
