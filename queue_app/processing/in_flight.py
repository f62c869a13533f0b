"""What this process is working on: read by the heartbeat to renew leases, and by the drain."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from aiinfra.stopping import StopFlag
from queue_app.ordering.claims import Claim

OVERTIME_S = 30
"""How long past its timeout a call may take before its lease is abandoned: its thread must be stuck."""

stopping = StopFlag()
_running: dict[tuple[UUID, int], float] = {}
"""(request ID, attempt number) -> monotonic time until which the lease is renewed."""


@contextmanager
def track(claim: Claim) -> Iterator[None]:
    """Keep the claim's lease renewed during the block."""
    attempt = (claim.request.id, claim.attempt_number)
    _running[attempt] = time.monotonic() + claim.timeout.total_seconds() + OVERTIME_S
    try:
        yield
    finally:
        del _running[attempt]


def prolong(claim: Claim) -> None:
    """Keep renewing the lease of a call that has ended, while its outcome cannot be stored."""
    attempt = (claim.request.id, claim.attempt_number)
    if attempt in _running:
        _running[attempt] = max(_running[attempt], time.monotonic() + OVERTIME_S)


def leased_attempts() -> list[tuple[UUID, int]]:
    """(request ID, attempt number) of everything that is not overdue."""
    now = time.monotonic()
    return [attempt for attempt, until in list(_running.items()) if until > now]


def running_count() -> int:
    """Number of requests that this process is working on."""
    return len(_running)
