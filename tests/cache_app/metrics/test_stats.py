"""The statistics of the cache page."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.learning.interval import bounds
from cache_app.metrics.counts import record
from cache_app.metrics.folding import fold_counts
from cache_app.metrics.stats import cache_stats
from cache_app.models import JudgedBy, Judgement, Layer
from cost_app import create_cost_optimizer
from cost_app.models import LedgerEntry, LedgerKind
from cost_app.prices import lookup
from tests.cache_app.learning.made import make_entry, make_hit

AWAY = "redis://127.0.0.1:1/0"


def test_an_empty_cache_has_no_rates(scoped: Organization) -> None:
    stats = cache_stats(scoped.pk)
    assert (stats.total_entries, stats.looks, stats.hits, stats.misses) == (0, 0, 0, 0)
    assert (stats.hit_rate, stats.average_similarity, stats.repeats_served) == (None, None, None)
    assert (stats.wrong_share.share, stats.wrong_share.low, stats.wrong_share.high) == (None, 0, 1)
    assert stats.by_kind == {"exact": 0, "semantic": 0, "flight": 0}
    assert stats.redis_available
    assert stats.embedder.id == "minilm-l6-v2-int8/1"


def test_hits_and_misses_are_counted_by_kind(scoped: Organization) -> None:
    make_entry(scoped)
    record(scoped.pk, {"look": 20, "miss:none": 6, "miss:threshold": 3, "miss:numbers": 2, "miss:blocked": 1})
    record(scoped.pk, {"miss:unsuited:short": 2, "error:embedder": 1})
    for layer, similarity in (("exact", 1.0), ("flight", 1.0), ("semantic", 0.92), ("semantic", 0.88)):
        make_hit(scoped, layer=layer, similarity=similarity, saved_ms=500)
    make_hit(scoped, shadow=True)
    fold_counts()
    stats = cache_stats(scoped.pk)
    assert (stats.total_entries, stats.looks, stats.hits, stats.misses) == (1, 20, 4, 16)
    assert stats.memory_bytes is not None
    assert stats.memory_bytes > 0
    assert stats.hit_rate == 20
    assert stats.by_kind == {"exact": 1, "semantic": 2, "flight": 1}
    assert stats.shadow_hits == 1
    assert stats.average_similarity == pytest.approx(0.90)
    assert stats.vetoes == {"numbers": 2, "blocked": 1}
    assert stats.near_misses == 3
    assert (stats.saved_nano, stats.saved_ms) == (400, 2000)


def test_repeats_are_lookups_with_a_close_candidate_or_an_equal_text(scoped: Organization) -> None:
    record(scoped.pk, {"similarity:90:served": 5, "similarity:85:refused": 2, "similarity:86:below": 1})
    record(scoped.pk, {"similarity:84:below": 50, "similarity:82:served": 9})
    make_hit(scoped, layer=Layer.EXACT)
    make_hit(scoped, layer=Layer.FLIGHT)
    fold_counts()
    assert cache_stats(scoped.pk).repeats_served == 70


def test_the_hit_rate_never_exceeds_100_percent(scoped: Organization) -> None:
    make_hit(scoped)
    fold_counts()
    stats = cache_stats(scoped.pk)
    assert (stats.looks, stats.misses, stats.hit_rate) == (1, 0, 100)


def test_savings_match_the_ledger(scoped: Organization) -> None:
    lookup.clear_price_cache()
    lookup.add_shipped_prices()
    usage = TokenUsage(input=1000, output=500)
    for _ in range(3):
        saved = create_cost_optimizer().book_cache_hit(
            organization_id=scoped.pk, request_id=uuid4(), provider="openai", model="gpt-4", usage=usage
        )
        make_hit(scoped, saved_nano=saved)
    make_hit(scoped, shadow=True, saved_nano=10**9)
    fold_counts()
    ledger = LedgerEntry.objects.filter(kind=LedgerKind.CACHE_HIT).values_list("saved_nano", flat=True)
    assert cache_stats(scoped.pk).saved_nano == sum(ledger) > 0


def test_the_error_rate_comes_from_samples_not_reports(scoped: Organization) -> None:
    sampled: dict[str, Any] = {"reask": True, "reasked_at": timezone.now()}
    for judgement, number in ((Judgement.RIGHT, 6), (Judgement.WRONG, 1), (Judgement.DOUBTFUL, 2)):
        for _ in range(number):
            make_hit(scoped, judgement=judgement, judged_by=JudgedBy.REVIEW, **sampled)
    make_hit(scoped, judgement=Judgement.RIGHT, judged_by=JudgedBy.SHADOW, shadow=True)
    make_hit(scoped, judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT)
    make_hit(scoped, judgement=Judgement.RIGHT, layer=Layer.EXACT, **sampled)
    stats = cache_stats(scoped.pk)
    wrong = stats.wrong_share
    assert (wrong.right, wrong.wrong, wrong.doubtful, wrong.share) == (7, 1, 2, 1 / 8)
    assert (wrong.low, wrong.high) == (bounds(1, 1, 10)[0], bounds(3, 3, 10)[1])
    assert stats.false_hit_reports == 1


def test_the_range_is_counted_in_days_of_the_organization_s_time_zone(scoped: Organization) -> None:
    for days in (0, 6, 8):
        make_hit(scoped, at=timezone.now() - timedelta(days=days), judgement=Judgement.WRONG, judged_by="report")
    fold_counts()
    assert [cache_stats(scoped.pk, days).hits for days in (1, 7, 30)] == [1, 2, 3]
    assert cache_stats(scoped.pk, 7).false_hit_reports == 2


def test_without_redis_the_other_figures_are_shown(scoped: Organization, settings: Settings) -> None:
    make_entry(scoped)
    make_hit(scoped)
    fold_counts()
    before = cache_stats(scoped.pk)
    settings.REDIS_URL = AWAY
    assert cache_stats(scoped.pk) == replace(before, total_entries=None, memory_bytes=None, redis_available=False)


def test_other_organizations_see_no_figures(scoped: Organization, other_organization: Organization) -> None:
    make_entry(scoped)
    make_hit(scoped, judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT)
    record(scoped.pk, ["look"])
    fold_counts()
    with organization_scope(other_organization.pk):
        stats = cache_stats(other_organization.pk)
    assert (stats.total_entries, stats.looks, stats.hits, stats.false_hit_reports) == (0, 0, 0, 0)


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(scoped: Organization) -> None:
    numbers = []
    for rows in (1, 20):
        for number in range(rows):
            make_hit(scoped, judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT)
            record(scoped.pk, {f"miss:unsuited:{number}": 1})
        fold_counts()
        with CaptureQueriesContext(connection) as queries:
            cache_stats(scoped.pk)
        numbers.append(len(queries))
    assert numbers[0] == numbers[1] == 3
