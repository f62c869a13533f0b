"""Rollups by hour and day, which count every ledger entry once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger import rollups
from cost_app.models import SUMS, CostPolicy, Dimension, LedgerEntry, PendingUsage, UsageDay, UsageHour
from tests.cost_app.ledger.booking import AT, Book, sums
from tests.support.ledger import book_entries

pytestmark = pytest.mark.django_db


def test_an_entry_counts_once_in_each_dimension(book: Book, organization: Organization) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    book(tags=["red", "blue"], user_ref="ada", priority=500, api_key_id=key.pk)
    book(tags=["red"], kind="cache_hit", nano=0, saved_nano=9, latency_ms=None, errors=0)
    for _ in range(3):
        rollups.fold()
    assert sums(Dimension.TOTAL) == {"": 100}
    assert sums(Dimension.MODEL) == {"deepseek/deepseek-chat": 100}
    assert sums(Dimension.PROVIDER) == {"deepseek": 100}
    assert sums(Dimension.USER) == {"ada": 100, "": 0}
    assert sums(Dimension.PRIORITY) == {"500": 100, "": 0}
    assert sums(Dimension.API_KEY) == {str(key.pk): 100, "": 0}
    assert sums(Dimension.TAG) == {"red": 100, "blue": 100}
    with system_scope():
        (total,) = UsageHour.objects.filter(dimension=Dimension.TOTAL)
        assert (total.calls, total.cache_hits, total.saved_nano, total.input_tokens) == (2, 1, 9, 14)
        assert (total.latency_ms, total.timed_calls) == (40, 1)
        assert not PendingUsage.objects.exists()


def test_hours_and_days_follow_the_organizations_time_zone(book: Book) -> None:
    book()
    book(at=AT + timedelta(minutes=2))
    rollups.fold()
    with system_scope():
        days = dict(UsageDay.objects.filter(dimension=Dimension.TOTAL).values_list("day", "nano"))
        hours = list(
            UsageHour.objects.filter(dimension=Dimension.TOTAL).order_by("hour").values_list("hour", flat=True)
        )
    assert days == {date(2026, 3, 10): 100, date(2026, 3, 11): 100}
    assert hours == [datetime(2026, 3, 10, 22, tzinfo=UTC), datetime(2026, 3, 10, 23, tzinfo=UTC)]


def test_bulk_entries_are_folded_like_others(organization: Organization, other_organization: Organization) -> None:
    columns = {"kind": "usage", "provider": "deepseek", "model": "deepseek-chat", "calls": 1, "at": AT}
    with system_scope():
        book_entries(
            [
                LedgerEntry(organization_id=each.pk, nano=nano, **columns)
                for nano, each in ((1, organization), (20, other_organization), (300, organization))
            ]
        )
        assert sorted(PendingUsage.objects.values_list("organization_id", "entry__nano")) == [
            (organization.pk, 1),
            (organization.pk, 300),
            (other_organization.pk, 20),
        ]
    rollups.fold()
    with system_scope():
        totals = UsageDay.objects.filter(dimension=Dimension.TOTAL).values_list("organization_id", "nano")
        assert dict(totals) == {organization.pk: 301, other_organization.pk: 20}


def test_every_measure_is_summed(book: Book) -> None:
    counted = {"cache_hits", "timed_calls"}
    measures = {name: 2**position for position, name in enumerate(SUMS) if name not in counted}
    book(**measures, kind="cache_hit")
    book(**measures | {"errors": 0})
    rollups.fold()
    once = ("errors", "latency_ms")  # hits have no provider latency
    expected = {name: amount if name in once else 2 * amount for name, amount in measures.items()}
    expected |= {"cache_hits": 1, "timed_calls": 1}
    with system_scope():
        for table in (UsageHour, UsageDay):
            assert table.objects.filter(dimension=Dimension.TOTAL).values(*SUMS).get() == expected


def test_organizations_are_isolated(book: Book, other_organization: Organization) -> None:
    book()
    book(organization_id=other_organization.pk, nano=5)
    assert rollups.fold() == {book().organization_id, other_organization.pk}
    with organization_scope(other_organization.pk):
        assert UsageDay.objects.get(dimension=Dimension.TOTAL).nano == 5


def test_rebuild_gives_equal_rollups_and_repairs_wrong_ones(book: Book, organization: Organization) -> None:
    for number in range(5):
        book(nano=number, at=AT + timedelta(hours=number))
    rollups.fold()
    book(nano=1_000)  # still pending: neither counted nor reported
    with organization_scope(organization.pk):
        assert rollups.differences(organization.pk) == []
        UsageDay.objects.filter(dimension=Dimension.TOTAL, day=date(2026, 3, 11)).update(nano=1)
        UsageHour.objects.filter(dimension=Dimension.MODEL).first().delete()  # type: ignore[union-attr]
        assert len(rollups.differences(organization.pk)) == 2
        rollups.rebuild(organization.pk)
        assert rollups.differences(organization.pk) == []
    rollups.fold()
    assert sums(Dimension.TOTAL, day=date(2026, 3, 10)) == {"": 1_000}


def test_changing_the_time_zone_rebuilds_days(book: Book, organization: Organization) -> None:
    book()
    rollups.fold()
    Organization.objects.update(time_zone="Asia/Tokyo")
    book()
    rollups.fold()
    rollups.follow_time_zones()
    with system_scope():
        assert [day.day for day in UsageDay.objects.filter(dimension=Dimension.TOTAL)] == [date(2026, 3, 11)]
        assert CostPolicy.objects.get(organization=organization).usage_time_zone == "Asia/Tokyo"


def test_only_organizations_with_a_new_time_zone_are_rebuilt(
    book: Book, organization: Organization, other_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = Organization.objects.create(slug="east", name="East Ltd")
    with system_scope():
        CostPolicy.objects.create(organization=third)
    book()
    book(organization_id=other_organization.pk)
    rollups.fold()
    rebuilt: list[int] = []
    monkeypatch.setattr(rollups, "rebuild", rebuilt.append)
    rollups.follow_time_zones()
    assert rebuilt == []
    Organization.objects.filter(pk__in=[other_organization.pk, third.pk]).update(time_zone="Asia/Tokyo")
    rollups.follow_time_zones()
    assert rebuilt == [other_organization.pk]


def test_rebuilding_one_organization_does_not_change_others(
    book: Book, organization: Organization, other_organization: Organization
) -> None:
    book()
    book(organization_id=other_organization.pk, nano=5)
    rollups.fold()
    with system_scope():
        UsageHour.objects.filter(organization=other_organization).update(nano=9)
        of_other = [table.objects.filter(organization=other_organization) for table in (UsageHour, UsageDay)]
        before = [list(rows.order_by("id").values()) for rows in of_other]
        rollups.rebuild(organization.pk)
        assert rollups.differences(organization.pk) == []
        assert [list(rows.order_by("id").values()) for rows in of_other] == before


def test_difference_names_both_values(book: Book, organization: Organization) -> None:
    book()
    rollups.fold()
    with organization_scope(organization.pk):
        UsageDay.objects.filter(dimension=Dimension.TOTAL).update(nano=7)
        UsageHour.objects.filter(dimension=Dimension.MODEL).delete()
        day, hour = sorted(rollups.differences(organization.pk))
    assert day.startswith("day 2026-03-10, total '': the ledger has [100, 0, 1, 0, 0, 7, ")
    assert ", the rollups have [7, 0, 1, 0, 0, 7, " in day
    assert hour.startswith("hour 2026-03-10 22:00:00+00:00, model 'deepseek/deepseek-chat': the ledger has [100,")
    assert "the rollups have [0, 0, 0," in hour


def test_more_entries_than_a_batch_are_folded(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "BATCH", 2)
    for nano in (1, 20, 300, 4_000):
        book(nano=nano)
    rollups.fold()
    assert sums(Dimension.TOTAL) == {"": 4_321}


def test_organization_that_cannot_be_folded_does_not_block_others(book: Book, other_organization: Organization) -> None:
    for _ in range(2):
        book(nano=2**62)
    book(organization_id=other_organization.pk, nano=5)
    with transaction.atomic():
        rollups.fold()
    with organization_scope(other_organization.pk):
        assert UsageDay.objects.get(dimension=Dimension.TOTAL).nano == 5
    with system_scope():
        assert PendingUsage.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_folds_and_rebuilds_count_each_entry_once(
    book: Book, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "BATCH", 7)
    for _ in range(60):
        book(nano=1)

    def rebuild() -> None:
        with organization_scope(organization.pk):
            rollups.rebuild(organization.pk)

    def run_and_close(run: Callable[[], object]) -> None:
        run()
        connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run_and_close, [rollups.fold, rebuild, rollups.fold, rebuild, rollups.fold]))
    rollups.fold()
    assert sums(Dimension.TOTAL) == {"": 60}
    with organization_scope(organization.pk):
        assert rollups.differences(organization.pk) == []


def test_command_compares_and_repairs(book: Book, organization: Organization) -> None:
    book()
    rollups.fold()
    call_command("rebuild_rollups", "--check", stdout=StringIO())
    with system_scope():
        UsageDay.objects.filter(dimension=Dimension.TAG).update(calls=9)
    with pytest.raises(CommandError, match="1 rollups differ"):
        call_command("rebuild_rollups", "north", "--check", stdout=StringIO())
    call_command("rebuild_rollups", stdout=StringIO())
    call_command("rebuild_rollups", "--check", stdout=StringIO())
    with pytest.raises(CommandError, match="nowhere"):
        call_command("rebuild_rollups", "nowhere")
