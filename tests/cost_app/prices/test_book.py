from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from aiinfra import epochs
from aiinfra.gateway.chat import choose_model
from aiinfra.providers.base import TokenUsage
from aiinfra.rate_limits import take
from aiinfra.tenants.scope import system_scope
from cost_app.fallback.manage import check_steps
from cost_app.ledger import attempts
from cost_app.models import Attempt, ModelAlias, ModelPrice, ToolFee
from cost_app.prices import lookup as pricebook
from cost_app.prices.fees import fees_of
from cost_app.prices.limits import expected_latency_ms, provider_limits
from cost_app.prices.lookup import (
    ModelNotPricedError,
    clear_price_cache,
    price_of,
    priced_models,
    prices_ahead,
    served_tiers,
)
from cost_app.recommendations.pricing import weekly_prices


def version(output: int, *, from_days: float, to_days: float | None = None, **columns: Any) -> ModelPrice:
    now = timezone.now()
    defaults = {"provider": "local", "model": "m", "input": 1, "cache_read": 1, "cache_write": 1, "source": "a test"}
    return ModelPrice.objects.create(
        output=output,
        effective_from=now + timedelta(days=from_days),
        effective_to=None if to_days is None else now + timedelta(days=to_days),
        **{**defaults, **columns},
    )


def test_latest_started_version_is_in_force() -> None:
    version(1, from_days=-20)
    version(2, from_days=-10)
    version(3, from_days=+10)
    assert price_of("local", "m").output == 2


def test_priced_models_are_cached_until_the_price_book_changes(
    redis_url: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    models = [("local", "m"), ("local", "other")]

    def priced() -> list[tuple[str, str]]:
        with epochs.request():
            take([], organization_id=1)
            return priced_models(models)

    version(1, from_days=-1)
    assert priced() == [("local", "m")]
    with django_assert_num_queries(0):
        assert priced() == [("local", "m")]
    with transaction.atomic():
        version(1, from_days=-1, model="other")
        epochs.change(None)
    assert priced() == models


def test_ended_version_is_not_in_force() -> None:
    version(1, from_days=-20)
    version(2, from_days=-10, to_days=-5)
    assert price_of("local", "m").output == 1


@pytest.mark.parametrize(("from_days", "to_days"), [(-20.0, -10.0), (10.0, None)])
def test_a_model_without_a_price_in_force_is_not_priced(from_days: float, to_days: float | None) -> None:
    version(1, from_days=from_days, to_days=to_days)
    with pytest.raises(ModelNotPricedError, match="local/m"):
        price_of("local", "m")
    assert ("local", "m") not in priced_models()


def test_an_unknown_model_is_not_priced(open_attempt: Callable[..., Attempt]) -> None:
    with pytest.raises(ModelNotPricedError):
        open_attempt(model="gpt-nonsense")
    with system_scope():
        assert not Attempt.objects.exists()


def test_the_shipped_models_are_priced() -> None:
    assert priced_models() == [
        ("anthropic", "claude-haiku-4-5"),
        ("deepseek", "deepseek-chat"),
        ("deepseek", "deepseek-flash"),
        ("deepseek", "deepseek-v4-flash"),
        ("deepseek", "deepseek-v4-pro"),
        ("openai", "gpt-3.5-turbo"),
        ("openai", "gpt-4"),
    ]


def test_shipping_prices_again_changes_nothing() -> None:
    before = list(ModelPrice.objects.order_by("id").values())
    pricebook.add_shipped_prices()
    assert list(ModelPrice.objects.order_by("id").values()) == before


def test_a_new_price_applies_after_the_cache_expires_and_attempts_keep_theirs(
    open_attempt: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    version(1_000_000, from_days=-20)
    attempt = open_attempt(provider="local", model="m")
    version(9_000_000, from_days=-1)
    assert price_of("local", "m").output == 1_000_000
    monkeypatch.setattr(pricebook._versions, "_seconds", -1)
    assert price_of("local", "m").output == 9_000_000
    with system_scope():
        attempts.settle(Attempt.objects.get(), TokenUsage(output=10), {})
        assert Attempt.objects.get(id=attempt.id).cost_nano == 10


def test_past_time_has_its_own_price() -> None:
    version(1, from_days=-20, to_days=-10)
    version(2, from_days=-10)
    ago = timezone.now() - timedelta(days=15)
    assert price_of("local", "m", at=ago).output == 1
    with pytest.raises(ModelNotPricedError):
        price_of("local", "m", at=ago - timedelta(days=15))


def test_tier_has_its_own_price_and_does_not_replace_another() -> None:
    version(5, from_days=-1, tier="batch")
    assert price_of("local", "m", tier="batch").output == 5
    with pytest.raises(ModelNotPricedError):
        price_of("local", "m")
    assert ("local", "m") not in priced_models()


MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "time", "output"),
    [
        (0, "00:59", 600), (0, "01:00", 1_200), (0, "03:59", 1_200), (0, "04:00", 600), (0, "05:59", 600),
        (0, "06:00", 1_200), (0, "09:59", 1_200), (0, "10:00", 600), (4, "02:00", 1_200), (5, "02:00", 600),
        (6, "07:00", 600),
    ],
)  # fmt: skip
def test_deepseek_peak_hours_are_on_working_days_in_utc(day: int, time: str, output: int) -> None:
    hour, minute = map(int, time.split(":"))
    at = MONDAY + timedelta(days=day, hours=hour, minutes=minute)
    elsewhere = at.astimezone(ZoneInfo("Asia/Kathmandu"))
    for instant in (at, elsewhere):
        assert price_of("deepseek", "deepseek-v4-flash", at=instant).output == output * 1_000_000


ALWAYS = [{"weekdays": [0, 1, 2, 3, 4, 5, 6], "from": "00:00", "to": "24:00"}]
NEVER_NOW: list[dict[str, object]] = [
    {"weekdays": [(timezone.now().weekday() + 3) % 7], "from": "00:00", "to": "24:00"}
]


def test_a_matching_window_takes_precedence_over_a_newer_price_without_one() -> None:
    version(1, from_days=-1)
    version(2, from_days=-20, window_name="peak", window=ALWAYS)
    assert price_of("local", "m").output == 2


def test_only_the_latest_version_of_a_window_counts() -> None:
    version(1, from_days=-30)
    version(2, from_days=-20, window_name="peak", window=ALWAYS)
    version(3, from_days=-10, window_name="peak", window=NEVER_NOW)
    assert price_of("local", "m").output == 1


def test_model_priced_only_in_a_window_is_unpriced_outside_of_it() -> None:
    version(1, from_days=-30, window_name="peak", window=NEVER_NOW)
    with pytest.raises(ModelNotPricedError):
        price_of("local", "m")


def test_upcoming_prices_cover_all_hours_and_the_next_day() -> None:
    version(1, from_days=-30)
    version(2, from_days=-20)
    version(3, from_days=-20, window_name="peak", window=NEVER_NOW)
    version(4, from_days=+0.5)
    version(5, from_days=+2)
    version(6, from_days=-20, tier="batch")
    version(7, from_days=-20, to_days=-10, window_name="night", window=ALWAYS)
    assert sorted(price.output for price in prices_ahead("local", "m")) == [2, 3, 4]


def test_model_without_prices_has_no_upcoming_prices() -> None:
    with pytest.raises(ModelNotPricedError, match="local/m"):
        prices_ahead("local", "m")


def test_cached_lookup_runs_no_query(django_assert_num_queries: Any) -> None:
    price_of("openai", "gpt-4")
    with django_assert_num_queries(0):
        for _ in range(3):
            price_of("openai", "gpt-4")
            prices_ahead("openai", "gpt-4")


def test_versions_with_equal_starts_or_negative_prices_are_rejected() -> None:
    first = version(1, from_days=0)
    for wrong in (
        {"effective_from": first.effective_from},
        {"input": -1, "effective_from": datetime(2025, 1, 1, tzinfo=UTC)},
    ):
        row = {
            "provider": "local",
            "model": "m",
            "input": 1,
            "cache_read": 1,
            "cache_write": 1,
            "output": 1,
            "source": "",
        }
        with pytest.raises(IntegrityError), transaction.atomic():
            ModelPrice.objects.create(**{**row, **wrong})


def test_database_rejects_changes_and_deletions_of_versions() -> None:
    row = version(1, from_days=-1)
    found = ModelPrice.objects.filter(pk=row.pk)
    changes: list[dict[str, Any]] = [
        {"output": 2},
        {"source": "another"},
        {"window": ALWAYS},
        {"effective_to": None, "input": 9},
    ]
    for change in changes:
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            found.update(**change)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        ModelPrice.objects.filter(pk=row.pk)._raw_delete("default")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        row.save()


def test_end_of_a_version_can_be_set_once() -> None:
    row = version(1, from_days=-1)
    found = ModelPrice.objects.filter(pk=row.pk)
    assert found.update(effective_to=timezone.now()) == 1
    for again in (timezone.now(), None):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            found.update(effective_to=again)


@pytest.mark.parametrize("tier", ["batch", "flex", "priority", "unheard"])
def test_tier_without_a_price_uses_the_standard_price(tier: str) -> None:
    assert price_of("openai", "gpt-4", tier=tier).tier == "standard"


@pytest.mark.parametrize(
    ("requested", "served"),
    [
        (None, {"standard"}),
        ("default", {"standard"}),
        ("flex", {"standard", "flex"}),
        ("priority", {"standard", "priority"}),
        ("auto", {"standard", "flex", "priority"}),
    ],
)
def test_possible_serving_tiers_follow_from_the_requested_tier(requested: str | None, served: set[str]) -> None:
    assert served_tiers(requested) == served


def test_only_an_approved_alias_has_a_price() -> None:
    row = ModelAlias.objects.create(provider="openai", alias="gpt-4-2026-01-01", model="gpt-4", source="a test")
    with pytest.raises(ModelNotPricedError, match="snapshot of openai/gpt-4, and an alias"):
        price_of("openai", "gpt-4-2026-01-01")
    ModelAlias.objects.filter(pk=row.pk).update(state="approved")
    clear_price_cache()
    assert price_of("openai", "gpt-4-2026-01-01").model == "gpt-4"
    assert {price.model for price in prices_ahead("openai", "gpt-4-2026-01-01")} == {"gpt-4"}


def test_model_fee_of_a_tool_takes_precedence_over_the_provider_fee() -> None:
    assert fees_of("anthropic", "claude-haiku-4-5")["web_search"] == 10_000_000
    ToolFee.objects.create(provider="anthropic", model="m", tool="web_search", nano_per_use=5, source="a test")
    clear_price_cache()
    assert fees_of("anthropic", "m")["web_search"] == 5
    assert fees_of("anthropic", "claude-haiku-4-5")["web_search"] == 10_000_000


def test_alias_works_in_every_model_lookup(db: None) -> None:
    alias, other = ("openai", "gpt-4-0613"), ("openai", "gpt-4-1999-01-01")
    assert priced_models([alias, other, ("openai", "gpt-4")]) == [("openai", "gpt-4"), alias]
    weekly = weekly_prices([alias, other])
    assert list(weekly) == [alias]
    assert weekly[alias].most_expensive.model == "gpt-4"
    assert expected_latency_ms(provider_limits(), *alias) == provider_limits()["openai/gpt-4"].expected_latency_ms
    assert choose_model(None, alias[1]) == alias
    check_steps(("openai", "gpt-3.5-turbo"), [alias], known=[])
