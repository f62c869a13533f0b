"""What this process is working on, for the heartbeat that renews its leases and for the drain at the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from aiinfra.stopping import StopFlag
from queue_app.ordering.claims import Claim

OVERTIME_S = 30
"""How long past its deadline a call may take before its lease is let go, because its thread must be stuck."""

stopping = StopFlag()
_running: dict[tuple[UUID, int], float] = {}
"""(request id, attempt number): the monotonic time until which the lease is renewed."""


@contextmanager
def working_on(claim: Claim) -> Iterator[None]:
    """Keep the claim's lease renewed during the block."""
    attempt = (claim.request.id, claim.attempt_number)
    _running[attempt] = time.monotonic() + claim.timeout.total_seconds() + OVERTIME_S
    try:
        yield
    finally:
        del _running[attempt]


def held() -> list[tuple[UUID, int]]:
    """(request id, attempt number) of everything that is not overdue."""
    now = time.monotonic()
    return [attempt for attempt, until in list(_running.items()) if until > now]


def busy() -> int:
    """How many requests this process works on."""
    return len(_running)
