"""`/api/ai/performance`: latency and failures of provider calls, by model."""

from typing import Annotated

from pydantic import Field

from aiinfra.api import ApiCall, ApiModel, Endpoint, Operation
from cost_app import create_cost_optimizer
from cost_app.facade import DEFAULT_HOURS, HOURS_MAX, Performance

cost = create_cost_optimizer()
Milliseconds = Annotated[float | None, Field(description="milliseconds, of answered calls; null if there are none")]


class PerformanceQuery(ApiModel):
    """Filter by provider and model; the default is all."""

    provider: str = ""
    model: str = ""
    hours: Annotated[int, Field(ge=1, le=HOURS_MAX, description="how far to look back")] = DEFAULT_HOURS


class ModelPerformance(ApiModel):
    """The calls to one model. Percentiles are accurate to 2.4%; failed calls are not included in the latencies."""

    provider: str
    model: str
    average: Milliseconds
    p50: Milliseconds
    p95: Milliseconds
    p99: Milliseconds
    calls: int
    failures: int
    errors: Annotated[dict[str, int], Field(description="failures by error code")]


class PerformanceOut(ApiModel):
    """The organization's own calls, by provider and model."""

    hours: int
    models: list[ModelPerformance]


def get_performance(_call: ApiCall, payload: PerformanceQuery) -> PerformanceOut:
    """Latency and failures of the organization's calls."""
    found = cost.performance(payload.hours, payload.provider, payload.model)
    return PerformanceOut(hours=payload.hours, models=[_out(each) for each in found])


def _out(each: Performance) -> ModelPerformance:
    return ModelPerformance(
        provider=each.provider,
        model=each.model,
        average=_rounded(each.average),
        p50=_rounded(each.p50),
        p95=_rounded(each.p95),
        p99=_rounded(each.p99),
        calls=each.calls,
        failures=each.failures,
        errors=each.errors,
    )


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


performance_endpoint = Endpoint(
    {
        ("GET", None): Operation(
            get_performance, "health:read", PerformanceQuery, PerformanceOut, "Latency and failures by model"
        )
    }
)
