"""Repricing in SQL equals `cost_of`."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Attempt, ModelPrice, PriceTier
from cost_app.models.ledger import usage_columns
from cost_app.prices.pricing import cost_of
from cost_app.recommendations.pricing import repriced, weekly_prices
from tests.cost_app.recommendations.conftest import NOW, add_price

tokens = st.integers(0, 2_000_000)
amounts = st.integers(0, 600 * 10**9)
COLUMNS = ["input", "cache_read", "cache_write", "output", "cache_write_1h"]
prices = st.tuples(amounts, amounts, amounts, amounts, st.none() | amounts)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    usage=st.builds(
        TokenUsage, input=tokens, cache_read=tokens, cache_write=tokens, output=tokens, cache_write_1h=tokens
    ),
    short=prices,
    long=st.lists(prices, max_size=3),
    threshold=st.integers(0, 2_000_000),
)
def test_sql_and_python_agree_to_the_nano(
    organization: Organization,
    usage: TokenUsage,
    short: tuple[int | None, ...],
    long: list[tuple[int | None, ...]],
    threshold: int,
) -> None:
    columns = dict(zip(COLUMNS, short, strict=True))
    steps = [
        {"above": threshold * number, **dict(zip(COLUMNS, each, strict=True))}
        for number, each in enumerate(long, start=1)
    ]
    price = ModelPrice(provider="openai", model="x", long_prompts=steps, **columns)
    with organization_scope(organization.pk):
        attempt = Attempt.objects.create(
            organization=organization,
            provider="openai",
            model="x",
            bound_nano=0,
            **usage_columns(usage),
        )
        cost = Attempt.objects.filter(pk=attempt.pk).values_list(repriced(price), flat=True).get()

    assert cost == cost_of(usage, price)


def test_weekly_prices_have_the_latest_version_of_each_window() -> None:
    model = ("openai", "gpt-x")
    add_price(*model, input=1, output=1, effective_from=NOW.replace(year=2024))
    plain = add_price(*model, input=2, output=2)
    peak = add_price(*model, input=4, output=4, window_name="peak", window=[])
    add_price(*model, input=9, output=9, effective_from=NOW.replace(year=2027))
    add_price(*model, input=1, output=1, tier=PriceTier.BATCH)

    weekly = weekly_prices([model], now=NOW)[model]

    assert (weekly.cheapest, weekly.most_expensive) == (plain, peak)
    assert weekly.has_off_peak


def test_model_without_an_output_price_is_not_a_chat_model(django_assert_num_queries: Callable[..., object]) -> None:
    add_price("openai", "embedding", input=1)

    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        assert ("openai", "embedding") not in weekly_prices(now=NOW)


@pytest.mark.parametrize("models", [[], [("openai", "unknown")]])
def test_empty_list_and_unknown_models_have_no_prices(models: list[tuple[str, str]]) -> None:
    assert weekly_prices(models, now=NOW) == {}
