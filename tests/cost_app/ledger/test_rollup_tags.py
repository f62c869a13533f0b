"""Rollups by tag, which are limited per day."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger import rollups
from cost_app.models import OTHER_TAGS, PendingUsage
from tests.cost_app.ledger.booking import AT, Book, sums

pytestmark = pytest.mark.django_db


def test_tags_beyond_the_daily_limit_share_one_rollup(
    book: Book, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cost_app.ledger.daily_tags.TAGS_PER_DAY", 2)
    for tags in (["a"], ["b", "c"], ["c", "d"], ["a"], [OTHER_TAGS]):
        book(tags=tags)
        rollups.fold()
    assert sums("tag") == {"a": 200, "b": 100, OTHER_TAGS: 300}
    book(tags=["c"], at=AT + timedelta(days=1))
    rollups.fold()
    assert sums("tag", day=date(2026, 3, 11)) == {"c": 100}
    with organization_scope(organization.pk):
        assert rollups.differences(organization.pk) == []
        rollups.rebuild(organization.pk)
        assert rollups.differences(organization.pk) == []
    assert sums("tag", day=date(2026, 3, 10)) == {"a": 200, "b": 100, OTHER_TAGS: 300}


def test_tag_rollups_equal_the_ledger_in_any_order_of_folding(
    book: Book, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cost_app.ledger.daily_tags.TAGS_PER_DAY", 1)
    first, second = book(tags=["a"]), book(tags=["b"])
    with system_scope():
        PendingUsage.objects.filter(entry=first).delete()
        rollups.fold()
        PendingUsage.objects.create(organization=organization, entry=first)
    rollups.fold()
    assert second.id > first.id
    assert sums("tag") == {"b": 100, OTHER_TAGS: 100}
    with organization_scope(organization.pk):
        assert rollups.differences(organization.pk) == []


def test_rebuilding_prefers_the_tags_that_were_booked_first(
    book: Book, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As folding did: a call that is reported late comes after those of the same day that were booked before."""
    monkeypatch.setattr("cost_app.ledger.daily_tags.TAGS_PER_DAY", 1)
    book(tags=["booked first"])
    book(tags=["called first"], at=AT - timedelta(hours=1))
    rollups.fold()
    for _ in range(2):
        assert sums("tag") == {"booked first": 100, OTHER_TAGS: 100}
        with organization_scope(organization.pk):
            rollups.rebuild(organization.pk)


def test_fold_without_tags_runs_no_tag_queries(
    book: Book,
) -> None:
    counts = []
    book(tags=["a"])
    rollups.fold()
    for tags in ([], ["a"]):
        book(tags=tags)
        with CaptureQueriesContext(connection) as queries:
            rollups.fold()
        counts.append(len(queries))
    assert counts[1] == counts[0] + 2
