"""Who writes rollups and when, which calls they time, and sums straight from the ledger."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger import rollups
from cost_app.models import SUMS, CostPolicy, Dimension, LedgerEntry, ModelHour, PendingUsage, UsageDay, UsageHour
from tests.cost_app.ledger.booking import AT, Book, sums

pytestmark = pytest.mark.django_db
TOTAL = Dimension.TOTAL.value


def hours() -> list[int]:
    """Nano-dollars of each hour that has a total."""
    with system_scope():
        return list(UsageHour.objects.filter(dimension=TOTAL).order_by("hour").values_list("nano", flat=True))


def test_entries_are_queued_until_they_are_folded(book: Book) -> None:
    assert not rollups.is_anything_queued()
    assert rollups.fold() == set()
    book()
    assert rollups.is_anything_queued()
    rollups.fold()
    assert not rollups.is_anything_queued()


def test_folding_one_organization_leaves_others_queued(
    book: Book, organization: Organization, other_organization: Organization
) -> None:
    book()
    book(organization_id=other_organization.pk)
    for _ in range(2):
        rollups.fold_organization(organization.pk)
    with system_scope():
        totals = UsageDay.objects.filter(dimension=TOTAL).values_list("organization_id", "nano")
        assert list(totals) == [(organization.pk, 100)]
        assert [each.organization_id for each in PendingUsage.objects.all()] == [other_organization.pk]


def test_entries_that_were_not_queued_are_added(organization: Organization) -> None:
    columns = {"kind": "usage", "provider": "deepseek", "model": "deepseek-chat", "calls": 1, "at": timezone.now()}
    with organization_scope(organization.pk):
        entries = [LedgerEntry(organization_id=organization.pk, nano=nano, **columns) for nano in (1, 20)]
        LedgerEntry.objects.bulk_create(entries)
        rollups.add_entries(organization.pk, entries)
        assert rollups.differences(organization.pk) == []
        assert sum(ModelHour.objects.values_list("calls", flat=True)) == 2
    assert (sums(TOTAL), hours()) == ({"": 21}, [21])


@pytest.mark.parametrize("step", ["_upsert", "count_calls"])
def test_fold_that_crashes_halfway_changes_nothing(book: Book, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    book()
    original = getattr(rollups, step)

    def write_and_crash(*arguments: object) -> None:
        original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rollups, step, write_and_crash)
        rollups.fold()
    assert (sums(TOTAL), hours(), rollups.is_anything_queued()) == ({}, [], True)
    rollups.fold()
    assert (sums(TOTAL), hours()) == ({"": 100}, [100])


@pytest.mark.parametrize("writes", ["add", "rebuild"])
def test_other_writers_that_crash_halfway_change_nothing(
    book: Book, organization: Organization, monkeypatch: pytest.MonkeyPatch, writes: str
) -> None:
    entry = book()
    rollups.fold()
    original = rollups._upsert

    def write_and_crash(table: str, unit: str, organization_id: int, amounts: rollups.SumsByKey) -> None:
        original(table, unit, organization_id, amounts)
        raise KeyboardInterrupt

    monkeypatch.setattr(rollups, "_upsert", write_and_crash)
    with organization_scope(organization.pk), pytest.raises(KeyboardInterrupt):
        if writes == "add":
            rollups.add_entries(organization.pk, [entry])
        else:
            rollups.rebuild(organization.pk)
    assert (sums(TOTAL), hours()) == ({"": 100}, [100])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("read", [rollups.usage_calendar, rollups.differences])
def test_readers_hold_the_lock_of_the_folds(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, read: Callable[[int], object]
) -> None:
    """Outside a transaction, a lock ends at once, and a fold could move entries while they are being compared."""
    lock, held = rollups._locked_policy, []

    def lock_and_note(organization_id: int) -> CostPolicy:
        held.append(connection.in_atomic_block)
        return lock(organization_id)

    monkeypatch.setattr(rollups, "_locked_policy", lock_and_note)
    with organization_scope(organization.pk):
        read(organization.pk)
    assert held == [True]


def test_each_organization_has_its_own_calendar(organization: Organization, other_organization: Organization) -> None:
    Organization.objects.filter(pk=other_organization.pk).update(time_zone="Asia/Tokyo")
    with system_scope():
        for _ in range(2):  # the first call stores the time zone, the second reads it
            for each, day in ((organization, date(2026, 3, 10)), (other_organization, date(2026, 3, 11))):
                assert rollups.usage_calendar(each.pk).day_of(AT) == day
        zones = dict(CostPolicy.objects.values_list("organization_id", "usage_time_zone"))
        assert zones[other_organization.pk] == "Asia/Tokyo" != zones[organization.pk]


def test_differences_are_in_order_of_time_and_include_rollups_without_entries(
    book: Book, organization: Organization
) -> None:
    moments = [datetime(2026, 3, day, hour, tzinfo=UTC) for day, hour in ((9, 9), (9, 10), (10, 9))]
    for at in moments:
        book(at=at)
    rollups.fold()
    with organization_scope(organization.pk):
        UsageHour.objects.filter(dimension=TOTAL).update(nano=1)
        for table, unit, when in ((UsageHour, "hour", moments[0]), (UsageDay, "day", moments[0].date())):
            table.objects.create(
                organization=organization, dimension=Dimension.USER, value="nobody", calls=1, **{unit: when}
            )
        found = rollups.differences(organization.pk)
    assert [each.partition(": ")[0] for each in found] == [
        *(f"hour {at}, total ''" for at in moments),
        f"hour {moments[0]}, user 'nobody'",
        "day 2026-03-09, user 'nobody'",
    ]


@pytest.mark.parametrize(
    ("columns", "latency_ms", "timed_calls"),
    [
        ({}, 40, 1),
        ({"latency_ms": 0}, 0, 1),
        ({"latency_ms": None}, 0, 0),
        ({"errors": 1}, 0, 0),
        ({"kind": "cache_hit"}, 0, 0),
    ],
    ids=["answered", "at once", "unknown latency", "failed", "cache hit"],
)
def test_only_answered_calls_with_a_known_latency_are_timed(
    book: Book, columns: dict[str, object], latency_ms: int, timed_calls: int
) -> None:
    book(**columns)
    rollups.fold()
    with system_scope():
        total = UsageDay.objects.get(dimension=TOTAL)
    assert (total.latency_ms, total.timed_calls, total.calls) == (latency_ms, timed_calls, 1)


def test_sums_from_the_ledger_are_of_one_organization_and_time(
    book: Book, organization: Organization, other_organization: Organization
) -> None:
    ends_at, moment = AT + timedelta(hours=1), timedelta(microseconds=1)
    book(nano=1, at=AT - moment)
    book(nano=20, at=AT)
    book(nano=300, at=ends_at - moment, tags=["red", "blue"], user_ref="ada", priority=500)
    book(nano=4_000, at=ends_at)
    book(nano=50_000, organization_id=other_organization.pk)
    with system_scope():
        totals = rollups.totals_between(organization.pk, AT, ends_at)
    assert {place: amounts[SUMS.index("nano")] for place, amounts in totals.items()} == {
        ("total", ""): 320,
        ("provider", "deepseek"): 320,
        ("model", "deepseek/deepseek-chat"): 320,
        ("api_key", ""): 320,
        ("user", ""): 20,
        ("user", "ada"): 300,
        ("priority", ""): 20,
        ("priority", "500"): 300,
        ("tag", ""): 20,
        ("tag", "red"): 300,
        ("tag", "blue"): 300,
    }
    assert totals["total", ""][SUMS.index("calls")] == 2
