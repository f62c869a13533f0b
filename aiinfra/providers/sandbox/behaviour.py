"""The sandbox's behaviour: how long calls take, and which of them fail and how."""

import asyncio
import itertools
import os
import random
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from aiinfra.configuration.setting import Values
from aiinfra.configuration.table.providers import SANDBOX_LATENCY_MS

LATENCY_MS_MAX = 600_000
Milliseconds = Annotated[float, Field(ge=0, le=LATENCY_MS_MAX, allow_inf_nan=False)]


class FaultKind(StrEnum):
    """Ways to fail; the documentation says which of them are billed."""

    STATUS = "status"
    RATE_LIMIT = "rate_limit"
    RESET_BEFORE_BILLING = "reset_before_billing"
    RESET_AFTER_BILLING = "reset_after_billing"
    MALFORMED_BODY = "malformed_body"
    MISSING_USAGE = "missing_usage"
    HANG = "hang"
    HOLD = "hold"
    STREAM_HOLD = "stream_hold"
    STREAM_RESET = "stream_reset"
    STREAM_ERROR = "stream_error"
    STREAM_MALFORMED = "stream_malformed"
    STREAM_END = "stream_end"
    CONTENT_FILTER = "content_filter"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True)


class Percentiles(_Model):
    """Latency in milliseconds as a distribution; linear between these points, starting at half the median."""

    p50: Milliseconds
    p95: Milliseconds
    p99: Milliseconds

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.p50 <= self.p95 <= self.p99:
            raise ValueError("must be p50 <= p95 <= p99")
        return self

    def at(self, share: float) -> float:
        """The latency that a `share` (0 to 1) of all calls stays below."""
        points = [(0.0, self.p50 / 2), (0.5, self.p50), (0.95, self.p95), (0.99, self.p99), (1.0, self.p99)]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if share <= x1:
                return y0 + (y1 - y0) * (share - x0) / (x1 - x0)
        return self.p99


class Fault(_Model):
    """A fault and the calls it affects: a share of them or the next `times`, narrowed by the other fields."""

    kind: Annotated[FaultKind, Field(strict=False)]
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    times: Annotated[int, Field(ge=0)] | None = None
    status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after_s: Annotated[int, Field(ge=0, le=86_400)] | None = None
    provider: str | None = None
    model: str | None = None
    contains: str | None = Field(None, min_length=1, description="text in the last message")

    def matches(self, provider: str, model: str, last_message: str) -> bool:
        """Whether the fault can affect this call."""
        if self.times == 0 or self.provider not in {None, provider} or self.model not in {None, model}:
            return False
        return self.contains is None or self.contains in last_message


class Behaviour(_Model):
    """The whole behaviour; `seed` makes latencies and probabilities repeatable."""

    latency_ms: Milliseconds | Percentiles = 0.0
    faults: list[Fault] = Field(default=[], max_length=100)
    seed: int = 0


class Director:
    """Applies a behaviour: draws latencies and faults, and counts `times` down."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}
        self.direct(Behaviour(latencyMs=Values(os.environ)[SANDBOX_LATENCY_MS]))

    def direct(self, behaviour: Behaviour) -> None:
        """Replace the behaviour and release all held calls."""
        self.behaviour = behaviour
        self._random = random.Random(behaviour.seed)
        for call in list(self._held):
            self.release(call)

    async def hold(self, call: str) -> None:
        """Wait until the call is released or the behaviour replaced."""
        await self._held.setdefault(call, asyncio.Event()).wait()

    def release(self, call: str) -> bool:
        """Release a held call; False if it is not held."""
        event = self._held.pop(call, None)
        if event is not None:
            event.set()
        return event is not None

    def latency_s(self) -> float:
        """How long the next answer takes, in seconds."""
        latency = self.behaviour.latency_ms
        milliseconds = latency.at(self._random.random()) if isinstance(latency, Percentiles) else latency
        return milliseconds / 1000

    def draw_fault(self, provider: str, model: str, last_message: str) -> Fault | None:
        """The first fault in the list that affects this call; None if there is none."""
        for fault in self.behaviour.faults:
            if fault.matches(provider, model, last_message) and self._random.random() < fault.probability:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None
