"""Each event is counted exactly once, regardless of which process folds, how often, and where it crashes."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError, ResponseError

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.metrics import counts, folding
from cache_app.metrics.counts import delete_old_counts, record, series, similarity_name, totals
from cache_app.metrics.folding import fold_counts
from cache_app.models import CacheCount, CacheHit, CountSpan, Layer
from tests.cache_app.metrics.racers import FOLDERS, NOTERS
from tests.support.race import RunRace

NOON = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
SPANS = list(CountSpan)


def hit(organization: Organization, layer: Layer = Layer.SEMANTIC, at: datetime = NOON, **columns: Any) -> CacheHit:
    values: dict[str, Any] = {"similarity": 0.91, "saved_nano": 700, "saved_ms": 900, "entry_age_s": 60, **columns}
    place = {"id": uuid4(), "organization": organization, "at": at, "layer": layer, "entry_id": "e", "partition": "p"}
    with organization_scope(organization.pk):
        return CacheHit.objects.insert(CacheHit(**place, **values))


def test_recorded_events_are_in_hours_and_days_after_folding(scoped: Organization) -> None:
    record(scoped.pk, [counts.LOOKUP, "miss:none"])
    record(scoped.pk, {counts.LOOKUP: 2, "hit:exact": 0})
    assert totals(scoped.pk, None) == {}
    fold_counts()
    for span in SPANS:
        assert totals(scoped.pk, None, span) == {"look": 3, "miss:none": 1, "hit:exact": 0}
    fold_counts()
    assert totals(scoped.pk, None)["look"] == 3


def test_events_count_in_their_hour(scoped: Organization) -> None:
    before = timezone.now()
    record(scoped.pk, ["look"])
    after = timezone.now()
    fold_counts()
    (hour,) = series(scoped.pk, ["look"], CountSpan.HOUR, before - timedelta(days=1))
    assert hour in {each.replace(minute=0, second=0, microsecond=0) for each in (before, after)}


def test_hits_are_counted_by_their_rows_with_what_they_saved(scoped: Organization) -> None:
    for layer, similarity in ((Layer.EXACT, 1.0), (Layer.SEMANTIC, 0.9123), (Layer.SEMANTIC, 0.95), (Layer.FLIGHT, 1)):
        hit(scoped, layer, similarity=similarity)
    hit(scoped, shadow=True, saved_nano=10**6)
    fold_counts()
    fold_counts()
    expected = {"hit:exact": 1, "hit:semantic": 2, "hit:flight": 1, "shadow:semantic": 1}
    sums = {"saved_nano": 2800, "saved_ms": 3600, "age_s": 240, "similarity_sum": 18623}
    for span in SPANS:
        assert totals(scoped.pk, None, span) == expected | sums


def test_days_follow_the_organization_s_time_zone(scoped: Organization) -> None:
    """Berlin is two hours ahead of UTC in July, so 22:30 UTC is the next day there."""
    hit(scoped, at=NOON.replace(hour=21))
    hit(scoped, at=NOON.replace(hour=22))
    fold_counts()
    days = series(scoped.pk, ["hit:semantic"], CountSpan.DAY, NOON - timedelta(days=9))
    begins = [NOON.replace(month=6, day=30, hour=22, minute=0), NOON.replace(hour=22, minute=0)]
    assert days == {begin: {"hit:semantic": 1} for begin in begins}
    hours = series(scoped.pk, ["hit:semantic"], CountSpan.HOUR, NOON)
    assert list(hours) == [NOON.replace(hour=hour, minute=0) for hour in (21, 22)]


def test_a_day_without_a_midnight_starts_at_its_first_instant() -> None:
    """Beirut's clocks went from 00:00 to 01:00 on 2025-03-30, at 22:00 UTC."""
    noon = datetime(2025, 3, 30, 10, tzinfo=UTC)
    assert counts.begin_of_day(noon, ZoneInfo("Asia/Beirut")) == datetime(2025, 3, 29, 22, tzinfo=UTC)


def test_only_requested_names_are_read(scoped: Organization) -> None:
    hit(scoped)
    hit(scoped, at=NOON - timedelta(days=3))
    fold_counts()
    assert totals(scoped.pk, NOON - timedelta(days=1))["hit:semantic"] == 1
    assert totals(scoped.pk, None)["hit:semantic"] == 2
    assert series(scoped.pk, ["hit:exact"], CountSpan.DAY, NOON - timedelta(days=9)) == {}


def test_organizations_are_counted_separately(scoped: Organization, other_organization: Organization) -> None:
    record(scoped.pk, ["look"])
    record(other_organization.pk, ["look", "look"])
    hit(other_organization, Layer.EXACT)
    fold_counts()
    assert totals(scoped.pk, None) == {"look": 1}
    with organization_scope(other_organization.pk):
        assert totals(other_organization.pk, None)["look"] == 2


@pytest.mark.parametrize(
    ("similarity", "name"), [(0.9, "90"), (0.8999, "89"), (0.29 + 0.57, "86"), (1.0, "100"), (1.0000001, "100")]
)
def test_the_histogram_has_a_bar_for_each_percent(similarity: float, name: str) -> None:
    assert similarity_name(similarity, "served") == f"similarity:{name}:served"


def test_a_lookup_does_not_fail_if_counting_fails(scoped: Organization, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    record(scoped.pk, ["look"])


def test_hits_are_counted_without_redis(scoped: Organization, settings: Settings) -> None:
    hit(scoped)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(RedisError):
        fold_counts()
    assert totals(scoped.pk, None)["hit:semantic"] == 1


def test_a_name_too_long_for_the_table_is_skipped(scoped: Organization) -> None:
    record(scoped.pk, ["x" * 200, "look"])
    fold_counts()
    assert totals(scoped.pk, None) == {"x" * 64: 1, "look": 1}


def test_counts_of_an_unknown_organization_are_dropped(scoped: Organization) -> None:
    record(987_654, ["look"])
    record(scoped.pk, ["look"])
    fold_counts()
    fold_counts()
    assert totals(scoped.pk, None) == {"look": 1}
    assert redis_client().keys("sc:*") == []


def test_a_crash_before_the_commit_leaves_everything_to_the_next_fold(
    scoped: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(scoped.pk, ["look"])
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(folding, "_add", _die)
        fold_counts()
    record(scoped.pk, ["look"])
    fold_counts()
    fold_counts()
    assert totals(scoped.pk, None) == {"look": 2}


def test_a_crash_after_the_commit_counts_nothing_twice(scoped: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    record(scoped.pk, ["look"])
    with monkeypatch.context() as patched:
        patched.setattr(folding, "DROP", "return 0")
        fold_counts()
    assert redis_client().exists(f"{counts.counts_key(scoped.pk)}:taken")
    record(scoped.pk, ["look"])
    for _ in range(3):
        fold_counts()
    assert totals(scoped.pk, None) == {"look": 2}


def test_a_stale_fold_neither_counts_nor_deletes(scoped: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder stalls after reading its batch, while others fold that batch and take the next one."""
    record(scoped.pk, ["look"])
    real = folding._count_batch
    stalled: list[object] = []
    key = counts.counts_key(scoped.pk)

    def stall(*arguments: object) -> None:
        if not stalled:
            stalled.append(arguments)
            for _ in range(2):
                fold_counts()
                record(scoped.pk, ["look", "look"])
            redis_client().eval(folding.TAKE, 2, key, f"{key}:taken")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(folding, "_count_batch", stall)
    fold_counts()
    assert stalled
    assert totals(scoped.pk, None) == {"look": 3}
    fold_counts()
    assert totals(scoped.pk, None) == {"look": 5}


def _die(*_: object) -> None:
    raise KeyboardInterrupt("killed")


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("note"), st.sampled_from(["look", "miss:none", "similarity:90:served"]), st.integers(1, 5)),
        st.tuples(st.just("hit"), st.sampled_from(Layer), st.integers(0, 72)),
        st.tuples(st.sampled_from(["fold", "die before", "die after"]), st.none(), st.none()),
    ),
    max_size=14,
)


@limits(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings=happenings)
def test_any_order_of_events_folds_and_crashes_adds_up(
    scoped: Organization, happenings: list[tuple[str, str | None, int | None]]
) -> None:
    CacheCount.objects.all().delete()
    CacheHit.objects.all().delete()
    redis_client().flushall()
    truth: Counter[str] = Counter()
    for what, which, number in happenings:
        if what == "note":
            record(scoped.pk, {str(which): int(number or 0)})
            truth[str(which)] += int(number or 0)
        elif what == "hit":
            hit(scoped, Layer(str(which)), at=NOON + timedelta(hours=int(number or 0)))
            truth[f"hit:{which}"] += 1
        else:
            _fold(what)
    for _ in ("what a dead one took", "what came after it", "nothing, so the organization is struck off"):
        _fold("fold")
    for span in SPANS:
        assert {k: v for k, v in totals(scoped.pk, None, span).items() if k in truth} == dict(truth)
    assert redis_client().keys("sc:*") == []


def _fold(how: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        if how == "die before":
            patched.setattr(folding, "_add", _die)
        if how == "die after":
            patched.setattr(folding, "DROP", "return redis.error_reply('killed')")
        try:
            fold_counts()
        except (KeyboardInterrupt, ResponseError) as error:
            assert "killed" in str(error)


def test_more_hits_than_a_batch_are_counted(scoped: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "BATCH", 2)
    for _ in range(5):
        hit(scoped)
    fold_counts()
    assert totals(scoped.pk, None)["hit:semantic"] == 5


def test_the_number_of_queries_does_not_depend_on_the_number_of_names(scoped: Organization) -> None:
    numbers = []
    for names in (1, 20):
        record(scoped.pk, {f"miss:{number}": 1 for number in range(names)})
        hit(scoped)
        fold_counts()
        record(scoped.pk, {f"miss:{number}": 1 for number in range(names)})
        hit(scoped)
        with CaptureQueriesContext(connection) as queries:
            fold_counts()
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_old_counts_are_deleted_and_the_marker_stays(scoped: Organization) -> None:
    now = timezone.now()
    for days in (0, 9, 401):
        hit(scoped, at=now - timedelta(days=days))
    record(scoped.pk, ["look"])
    fold_counts()
    delete_old_counts()
    assert totals(scoped.pk, None, CountSpan.HOUR)["hit:semantic"] == 1
    assert totals(scoped.pk, None, CountSpan.DAY)["hit:semantic"] == 2
    assert CacheCount.objects.filter(name=counts.FOLDED).exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_processes_count_each_event_once(
    organization: Organization, redis_url: str, run_race: RunRace
) -> None:
    for number in range(60):
        hit(organization, at=NOON + timedelta(minutes=number))
    racers = [*[("fold", name) for name in FOLDERS], *[("note", f"{name} {organization.pk}") for name in NOTERS]]
    achieved = run_race("tests.cache_app.metrics.racers", racers, REDIS_URL=redis_url)
    *batches, third, fourth = [int(number) for [number] in achieved]
    assert all(batches), "one of the folders counted nothing"
    with organization_scope(organization.pk):
        fold_counts()
        for span in SPANS:
            sums = totals(organization.pk, None, span)
            assert (sums["look"], sums["miss:none"], sums["hit:semantic"], sums["saved_nano"]) == (
                third + fourth,
                third + fourth,
                60,
                42000,
            )
