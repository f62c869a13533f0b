"""Traffic for recommendations, created directly as attempts so that expected values can be calculated by hand."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Attempt, AttemptState, ModelPrice, RecommendationKind
from cost_app.prices.pricing import cost_of
from cost_app.recommendations.compute import advice_for
from cost_app.recommendations.sample import Advice

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""A Friday."""

Traffic = Callable[..., list[Attempt]]
AdviceOf = Callable[..., list[Advice]]


@pytest.fixture
def scope(organization: Organization) -> Iterator[None]:
    """Runs the test in the scope of the organization."""
    with organization_scope(organization.pk):
        yield


def plain_price(provider: str, model: str) -> ModelPrice:
    """The standard price without a window."""
    return ModelPrice.objects.get(provider=provider, model=model, tier="standard", window_name="")


def add_price(provider: str, model: str, **columns: Any) -> ModelPrice:
    """Adds a price version; amounts are in nano-dollars per million tokens."""
    defaults = {
        "input": 0,
        "cache_read": 0,
        "cache_write": 0,
        "output": 0,
        "effective_from": datetime(2025, 1, 1, tzinfo=UTC),
        "source": "test",
    }
    return ModelPrice.objects.create(provider=provider, model=model, **{**defaults, **columns})


@pytest.fixture
def traffic(organization: Organization) -> Traffic:
    """Creates settled attempts, spread evenly over the days before `NOW`, with these columns."""

    def make(count: int, *, days: float = 30, usage: TokenUsage | None = None, **columns: Any) -> list[Attempt]:
        usage = usage or TokenUsage(input=1_000, output=500)
        span = timedelta(days=days)
        name = (columns.pop("provider", "openai"), columns.pop("model", "gpt-4"))
        price = columns.pop("price", None) or plain_price(*name)
        step = columns.pop("step", span / count)
        first = columns.pop("first", NOW - span)
        defaults: dict[str, Any] = {
            "organization_id": organization.pk,
            "provider": name[0],
            "model": name[1],
            "price": price,
            "state": AttemptState.SETTLED,
            "bound_nano": 0,
            "cost_nano": cost_of(usage, price),
            "input_tokens": usage.input,
            "cache_read_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "output_tokens": usage.output,
        }
        rows = []
        for number in range(count):
            at = first + step * number
            times = {"created_at": at, "dispatched_at": at, "finished_at": at + timedelta(seconds=2)}
            own = {name: value(number) if callable(value) else value for name, value in columns.items()}
            rows.append(Attempt(**{**defaults, "request_id": uuid.uuid4(), **times, **own}))
        with system_scope():
            return Attempt.objects.bulk_create(rows)

    return make


@pytest.fixture
def advice_of(organization: Organization) -> AdviceOf:
    """Returns the advice at `NOW`, optionally of one kind."""

    def find(kind: RecommendationKind | None = None, organization_id: int | None = None) -> list[Advice]:
        identity = organization_id or organization.pk
        with organization_scope(identity):
            return [each for each in advice_for(identity, NOW) if kind in (None, each.kind)]

    return find


def figures_of(advice: Advice) -> dict[str, Any]:
    """The evidence's values by label; the last value of a repeated label."""
    return {each["label"]: each["value"] for each in advice.evidence["figures"]}
