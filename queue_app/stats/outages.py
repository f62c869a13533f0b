"""Which models are failing: since when, with what error, and how many requests wait because of it.

A model is down when its calls fail one after another, and degraded when many of them do. Everything is for the
organization in scope and at most a second or two old: the figures are folded from the ledger twice a second.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from aiinfra.providers.base import PROVIDER_FAULTS
from aiinfra.providers.breaker import BreakerState, CircuitState
from cost_app.facade import ModelMinute, ModelState

DOWN_AFTER_FAILURES = 2
"""Consecutive failures after which a model is down."""
FORGOTTEN_AFTER = timedelta(minutes=15)
"""Without another failure an outage is forgotten after this long: no one has called the model since."""
RECENT = timedelta(minutes=5)
DEGRADED_FAILURES, DEGRADED_PERCENT = 3, 20
"""Share of the calls within `RECENT`."""
RECOVERED_AFTER = timedelta(minutes=1)
"""A model that answers has recovered after this long without a failure, however many calls failed before."""


@dataclass(frozen=True)
class LastFailure:
    """The last failure with one error code."""

    code: str
    message: str
    at: datetime


@dataclass(frozen=True)
class Outage:
    """One failing model. `since` is None if only other organizations have seen it fail."""

    provider: str
    model: str
    since: datetime | None
    error: LastFailure | None
    failed: int
    """Failed calls of the last five minutes, of `calls`."""
    calls: int
    held: int
    circuit: str

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"

    @property
    def is_partial(self) -> bool:
        """Whether some calls are answered."""
        return self.circuit == CircuitState.CLOSED and self.failed < self.calls


def last_failures(state: ModelState | None) -> list[LastFailure]:
    """The last failure of each error code, newest first."""
    found = [
        LastFailure(code, message, at)
        for code, (text, message) in (state.errors if state else {}).items()
        if (at := parse_datetime(text))
    ]
    return sorted(found, key=lambda error: error.at, reverse=True)


def outages(
    states: Iterable[ModelState],
    minutes: Sequence[ModelMinute],
    held: Mapping[str, int],
    circuits: Iterable[BreakerState],
) -> list[Outage]:
    """The models that are failing, those with the most waiting requests first. `minutes` are those of the last hour."""
    by_name = {f"{state.provider}/{state.model}": state for state in states}
    open_ones = {f"{each.provider}/{each.model}": each.state for each in circuits if each.state != CircuitState.CLOSED}
    found = []
    for name in by_name.keys() | {name for name in open_ones if held.get(name)}:
        own = [minute for minute in minutes if f"{minute.provider}/{minute.model}" == name]
        circuit = open_ones.get(name, CircuitState.CLOSED)
        if outage := _outage(name, by_name.get(name), own, held.get(name, 0), circuit):
            found.append(outage)
    return sorted(found, key=lambda outage: (-outage.held, outage.name))


def _outage(
    name: str, state: ModelState | None, minutes: Sequence[ModelMinute], held: int, circuit: CircuitState
) -> Outage | None:
    provider, _, model = name.partition("/")
    recent = [minute for minute in minutes if minute.minute > timezone.now() - RECENT]
    failed, calls = sum(_faults(minute) for minute in recent), sum(minute.calls for minute in recent)
    is_open = circuit != CircuitState.CLOSED and (held > 0 or _is_down(state, 1))
    is_degraded = (
        failed >= DEGRADED_FAILURES
        and 100 * failed >= DEGRADED_PERCENT * calls
        and _failed_within(state, RECOVERED_AFTER)
    )
    if not (is_open or is_degraded or _is_down(state, DOWN_AFTER_FAILURES)):
        return None
    faults = [error for error in last_failures(state) if error.code in PROVIDER_FAULTS]
    since = (state.failing_since if state else None) or _failing_since(minutes)
    return Outage(provider, model, since, faults[0] if faults else None, failed, calls, held, circuit)


def _is_down(state: ModelState | None, least: int) -> bool:
    if state is None or state.failing_since is None:
        return False
    return state.failures >= least and _failed_within(state, FORGOTTEN_AFTER)


def _failed_within(state: ModelState | None, past: timedelta) -> bool:
    return state is not None and state.failed_at is not None and state.failed_at > timezone.now() - past


def _failing_since(minutes: Sequence[ModelMinute]) -> datetime | None:
    """The first minute of the ongoing failures: failures with no gap longer than `RECENT` between them."""
    since = None
    for minute in sorted((each.minute for each in minutes if _faults(each)), reverse=True):
        if since and since - minute > RECENT:
            break
        since = minute
    return since


def _faults(minute: ModelMinute) -> int:
    return sum(count for code, count in minute.errors.items() if code in PROVIDER_FAULTS)
