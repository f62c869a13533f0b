"""Providers as their page shows them: how each model does, and how close it is to its limits.

Calls, latencies and errors are the organization's own. The circuit and the share of a provider limit in use are those
of the installation, because all organizations share the provider's account. How many calls make up that share is for
staff.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from redis.exceptions import RedisError

from aiinfra.providers import breaker
from aiinfra.providers.breaker import BreakerState
from aiinfra.providers.registry import provider_names
from aiinfra.templatetags.formats import duration_ms
from cost_app import create_cost_optimizer
from cost_app.optimizer import ModelState, Performance, ProviderLimit
from queue_app.limits import LimitUse, limit_uses
from queue_app.outages import LastFailure, Outage, last_failures, outages
from queue_app.stats import held_by_model, limited_of

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
    """One model. `limit` is its row beside the price book, `use` how much of it is in use; None: no limit holds."""

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
        """bad, warn, good or nothing."""
        return {"failing": "bad", "unstable": "warn", "healthy": "good"}.get(self.state, "")

    @property
    def use_tone(self) -> str:
        """How close to the limit: "", warn or bad."""
        percent = self.use.percent if self.use else 0
        return "bad" if percent >= 100 else "warn" if percent >= NEARLY_FULL_PERCENT else ""

    @property
    def expected_note(self) -> str:
        """What is assumed until there are measurements."""
        expected = self.limit.expected_latency_ms if self.limit else None
        return f"expected {duration_ms(expected)}" if expected else ""

    @property
    def is_shared(self) -> bool:
        """Whether the limit is one for several models of the provider."""
        return bool(self.limit and not self.limit.model)


@dataclass(frozen=True)
class Providers:
    """All that the page shows beside its chart."""

    rows: Sequence[ModelRow]
    redis_answers: bool
    unused: Sequence[str]
    """Configured providers without a row."""


def providers() -> Providers:
    """The models that the organization in scope called or has waiting, and those with a limit of their own.

    Seven queries and two looks at Redis, whatever the traffic.
    """
    uses = _uses()
    circuits = {} if uses is None else {f"{each.provider}/{each.model}": each for each in breaker.states()}
    states = {f"{state.provider}/{state.model}": state for state in cost.model_states()}
    performance = {f"{each.provider}/{each.model}": each for each in cost.performance()}
    held, limited, limits = held_by_model(), limited_of(), cost.provider_limits()
    found = outages(states.values(), cost.model_minutes(ONE_HOUR), held, circuits.values())
    failing = {outage.name: outage for outage in found}
    own = {name for name in limits if not name.endswith("/")}
    names = performance.keys() | states.keys() | held.keys() | limited.keys() | failing.keys() | own
    rows = [
        _row(
            name,
            performance=performance.get(name),
            outage=failing.get(name),
            circuit=circuits.get(name),
            limits=limits,
            uses=uses or {},
            state=states.get(name),
            waiting=(held.get(name, 0), limited.get(name, 0)),
        )
        for name in sorted(names, key=lambda name: (name not in failing, name))
    ]
    return Providers(rows, uses is not None, _unused(rows))


def _row(
    name: str,
    *,
    performance: Performance | None,
    outage: Outage | None,
    circuit: BreakerState | None,
    limits: Mapping[str, ProviderLimit],
    uses: Mapping[str, LimitUse],
    state: ModelState | None,
    waiting: tuple[int, int],
) -> ModelRow:
    provider, _, model = name.partition("/")
    limit = limits.get(name) or limits.get(f"{provider}/")
    performance = performance or Performance(provider, model)
    errors = [
        FailureRow(each.code, each.message, each.at, performance.errors.get(each.code, 0))
        for each in last_failures(state)
    ]
    return ModelRow(
        provider=provider,
        model=model,
        performance=performance,
        outage=outage,
        circuit=circuit,
        limit=limit,
        use=uses.get(limit.name) if limit else None,
        errors=errors[:ERRORS_SHOWN],
        held=waiting[0],
        limited=waiting[1],
    )


def _unused(rows: Iterable[ModelRow]) -> list[str]:
    shown = {row.provider for row in rows}
    return [name for name in provider_names() if name not in shown]


def _uses() -> dict[str, LimitUse] | None:
    """None where Redis does not answer."""
    try:
        return limit_uses()
    except RedisError:
        return None
