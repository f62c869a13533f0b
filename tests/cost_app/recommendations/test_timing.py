"""Advice for low-priority requests: off-peak hours and batches."""

import pytest

from aiinfra.providers.base import TokenUsage
from cost_app.models import ModelPrice, PriceTier, RecommendationKind
from tests.cost_app.recommendations.conftest import AdviceOf, Traffic, add_price

USAGE = TokenUsage(input=10_001, output=5_000)
MODEL = {"provider": "deepseek", "model": "deepseek-x"}
PEAK, OFF_PEAK, BATCH = (
    (10_001 * 2_000 + 5_000 * 4_000),
    (10_001 * 1_000 + 5_000 * 2_000),
    (10_001 * 500 + 5_000 * 1_000),
)
"""The cost of one call in nano-dollars."""


@pytest.fixture
def prices() -> dict[str, ModelPrice]:
    window = [{"weekdays": [0, 1, 2, 3, 4], "from": "01:00", "to": "13:00"}]
    peak = add_price(**MODEL, window_name="peak", window=window, input=2_000_000_000, output=4_000_000_000)
    return {"peak": peak, "off-peak": add_price(**MODEL, input=1_000_000_000, output=2_000_000_000)}


def test_off_peak_reprices_low_priority_calls_made_at_peak(
    traffic: Traffic, advice_of: AdviceOf, prices: dict[str, ModelPrice]
) -> None:
    traffic(200, usage=USAGE, price=prices["peak"], priority=10, **MODEL)
    traffic(100, usage=USAGE, price=prices["off-peak"], priority=10, **MODEL)
    traffic(300, usage=USAGE, price=prices["peak"], priority=100, **MODEL)

    (advice,) = advice_of(RecommendationKind.OFF_PEAK)

    assert advice.monthly_nano == 200 * (PEAK - OFF_PEAK)
    assert advice.rule_terms == {"model": "deepseek/deepseek-x"}
    assert (advice.evidence["sample"]["calls"], advice.evidence["sample"]["bearing"]) == (300, 200)


def test_off_peak_gives_no_advice_for_other_priorities_and_models_with_one_price(
    traffic: Traffic, advice_of: AdviceOf, prices: dict[str, ModelPrice]
) -> None:
    traffic(200, usage=USAGE, price=prices["peak"], priority=100, **MODEL)
    traffic(200, usage=USAGE, price=prices["peak"], **MODEL)
    traffic(200, usage=USAGE, price=prices["off-peak"], priority=10, **MODEL)
    traffic(200, usage=USAGE, priority=10)

    assert advice_of(RecommendationKind.OFF_PEAK) == []


def test_batch_reprices_low_priority_calls_at_the_batch_price(
    traffic: Traffic, advice_of: AdviceOf, prices: dict[str, ModelPrice]
) -> None:
    add_price(**MODEL, tier=PriceTier.BATCH, input=500_000_000, output=1_000_000_000)
    traffic(200, usage=USAGE, price=prices["peak"], priority=10, **MODEL)
    traffic(100, usage=USAGE, price=prices["off-peak"], priority=10, **MODEL)
    traffic(100, usage=USAGE, price=prices["peak"], priority=500, **MODEL)

    (advice,) = advice_of(RecommendationKind.BATCH)

    assert advice.monthly_nano == 200 * PEAK + 100 * OFF_PEAK - 300 * BATCH
    assert advice.rule_terms == {}


def test_batch_gives_no_advice_without_a_batch_price_or_low_priority_calls(
    traffic: Traffic, advice_of: AdviceOf, prices: dict[str, ModelPrice]
) -> None:
    traffic(200, usage=USAGE, price=prices["peak"], priority=10, **MODEL)
    add_price("openai", "gpt-4", tier=PriceTier.BATCH, input=5_000_000_000, output=15_000_000_000)
    traffic(200, usage=USAGE, priority=100)

    assert advice_of(RecommendationKind.BATCH) == []
