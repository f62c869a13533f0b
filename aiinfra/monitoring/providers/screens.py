"""Data for the providers page: how each model performs, and how close it is to its limits.

Calls, latencies and errors are the organization's own. The circuit and the used share of a provider limit are those of
the installation, because all organizations share the provider's account. Only staff see how many calls make up that
share.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from redis.exceptions import RedisError

from aiinfra.providers import breaker
from aiinfra.providers.breaker import BreakerState, CircuitState
from aiinfra.providers.registry import provider_names
from aiinfra.templatetags.formats import duration_ms
from aiinfra.tenants.scope import organization_in_scope
from cost_app import create_cost_optimizer
from cost_app.facade import ModelState, Performance, ProviderLimit
from queue_app.facade import (
    LastFailure,
    LimitUse,
    Outage,
    held_by_model,
    last_failures,
    limit_uses,
    limited_of,
    outages,
)

cost = create_cost_optimizer()
ERRORS_SHOWN = 3
NEARLY_FULL_PERCENT = 80
ONE_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class FailureRow(LastFailure):
    """The last failure with one error code, and how many there were within 24 hours."""

    count: int


@dataclass(frozen=True)
class ModelRow:
    """One model. `limit` is the row that limits it, `use` how much of it is in use; None if there is no limit."""

    provider: str
    model: str
    performance: Performance
    outage: Outage | None
    circuit: BreakerState | None
    limit: ProviderLimit | None
    use: LimitUse | None
    errors: Sequence[FailureRow]
    held: int
    limited: int

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"

    @property
    def state(self) -> str:
        """failing, unstable, healthy or idle."""
        if self.outage:
            return "unstable" if self.outage.is_partial else "failing"
        return "healthy" if self.performance.calls else "idle"

    @property
    def tone(self) -> str:
        """bad, warn, good or empty."""
        return {"failing": "bad", "unstable": "warn", "healthy": "good"}.get(self.state, "")

    @property
    def circuit_note(self) -> str:
        """Whose calls an open circuit holds."""
        if not self.circuit or self.circuit.state == CircuitState.CLOSED:
            return ""
        if self.circuit.holds_all:
            return "Calls from all organizations are on hold."
        if organization_in_scope() in self.circuit.failing:
            return "Only calls from your organization are on hold."
        return "Only calls from one other organization are on hold."

    @property
    def use_tone(self) -> str:
        """How close to the limit: "", warn or bad."""
        percent = self.use.percent if self.use else 0
        return "bad" if percent >= 100 else "warn" if percent >= NEARLY_FULL_PERCENT else ""

    @property
    def expected_note(self) -> str:
        """The latency assumed until there are measurements."""
        expected = self.limit.expected_latency_ms if self.limit else None
        return f"expected {duration_ms(expected)}" if expected else ""

    @property
    def is_shared(self) -> bool:
        """Whether several models of the provider share the limit."""
        return bool(self.limit and not self.limit.model)


@dataclass(frozen=True)
class Providers:
    """Everything the page shows besides its chart."""

    rows: Sequence[ModelRow]
    redis_answers: bool
    unused: Sequence[str]
    """Configured providers without a row."""


@dataclass(frozen=True)
class _Known:
    """What is known about the models, by `provider/model`. `uses` is None while Redis is down."""

    performance: Mapping[str, Performance]
    states: Mapping[str, ModelState]
    circuits: Mapping[str, BreakerState]
    limits: Mapping[str, ProviderLimit]
    uses: Mapping[str, LimitUse] | None
    held: Mapping[str, int]
    limited: Mapping[str, int]
    failing: Mapping[str, Outage]

    @property
    def names(self) -> set[str]:
        """The models to show: those called, waiting, failing, or with a limit."""
        own = {name for name in self.limits if not name.endswith("/")}
        return (
            own
            | self.performance.keys()
            | self.states.keys()
            | self.held.keys()
            | self.limited.keys()
            | self.failing.keys()
        )


def providers() -> Providers:
    """The models that the organization in scope called or has waiting, and those with a limit.

    Seven queries and three Redis calls, whatever the traffic.
    """
    known = _known()
    rows = [_row(name, known) for name in sorted(known.names, key=lambda name: (name not in known.failing, name))]
    return Providers(rows, known.uses is not None, _unused(rows))


def _known() -> _Known:
    uses, held = _uses(), held_by_model()
    states = {f"{state.provider}/{state.model}": state for state in cost.model_states()}
    circuits = {} if uses is None else {f"{each.provider}/{each.model}": each for each in breaker.states()}
    found = outages(states.values(), cost.model_minutes(ONE_HOUR), held, circuits.values())
    return _Known(
        performance={f"{each.provider}/{each.model}": each for each in cost.performance()},
        states=states,
        circuits=circuits,
        limits=cost.provider_limits(),
        uses=uses,
        held=held,
        limited=limited_of(),
        failing={outage.name: outage for outage in found},
    )


def _row(name: str, known: _Known) -> ModelRow:
    provider, _, model = name.partition("/")
    limit = known.limits.get(name) or known.limits.get(f"{provider}/")
    performance = known.performance.get(name) or Performance(provider, model)
    failures = last_failures(known.states.get(name))[:ERRORS_SHOWN]
    return ModelRow(
        provider=provider,
        model=model,
        performance=performance,
        outage=known.failing.get(name),
        circuit=known.circuits.get(name),
        limit=limit,
        use=(known.uses or {}).get(limit.name) if limit else None,
        errors=[
            FailureRow(each.code, each.message, each.at, performance.errors.get(each.code, 0)) for each in failures
        ],
        held=known.held.get(name, 0),
        limited=known.limited.get(name, 0),
    )


def _unused(rows: Iterable[ModelRow]) -> list[str]:
    shown = {row.provider for row in rows}
    return [name for name in provider_names() if name not in shown]


def _uses() -> dict[str, LimitUse] | None:
    """None while Redis is down."""
    try:
        return limit_uses()
    except RedisError:
        return None
