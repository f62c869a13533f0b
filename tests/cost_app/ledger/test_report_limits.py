"""The largest cost of a reported call and of an organization's reports within a day."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.ledger.tracking import CALL_MAX_NANO, LARGE_NANO, ReportTooLargeError, TrackedCall, track_request
from cost_app.models import Attempt, ProviderBilling
from tests.cost_app.ledger.tracked import USAGE, Track

pytestmark = pytest.mark.usefixtures("scoped", "reported_costs")
MILLION, THOUSAND = 10**15, 10**12
"""Dollars in nano-dollars."""
AT = timezone.now() - timedelta(days=9)
DAY, MOMENT = timedelta(days=1), timedelta(microseconds=1)


@pytest.fixture
def reported_costs(db: None) -> None:
    """Reports cost what they say, so that tests can choose the amount."""
    ProviderBilling.objects.create(provider="deepseek", booked_cost="reported")


def report(track: Track, nano: int, **fields: object) -> Attempt:
    return track(replace(USAGE, reported_nano=nano), **{"at": AT, **fields})


def refuse(track: Track, nano: int, **fields: object) -> None:
    before = Attempt.objects.count()
    with pytest.raises(ReportTooLargeError):
        report(track, nano, **fields)
    assert Attempt.objects.count() == before


def test_a_reported_call_costs_at_most_a_million_dollars(track: Track) -> None:
    assert (CALL_MAX_NANO, LARGE_NANO) == (MILLION, THOUSAND)
    refuse(track, MILLION + 1)
    assert report(track, MILLION).cost_nano == MILLION


def test_the_reports_of_a_day_cost_at_most_ten_million_dollars(track: Track) -> None:
    for _ in range(9):
        report(track, MILLION)
    report(track, MILLION - THOUSAND)
    refuse(track, THOUSAND + 1)
    report(track, THOUSAND)
    refuse(track, THOUSAND)


def test_reports_below_a_thousand_dollars_are_neither_limited_nor_counted(track: Track) -> None:
    for _ in range(9):
        report(track, MILLION)
    report(track, THOUSAND - 1)
    report(track, MILLION)
    report(track, THOUSAND - 1)
    refuse(track, THOUSAND)


@pytest.mark.parametrize("direction", [-1, 1])
def test_reports_count_for_less_than_a_day_before_and_after(track: Track, direction: int) -> None:
    for _ in range(10):
        report(track, MILLION)
    refuse(track, THOUSAND, at=AT + direction * (DAY - MOMENT))
    report(track, MILLION, at=AT + direction * DAY)


def test_the_reports_of_other_organizations_do_not_count(track: Track, other_organization: Organization) -> None:
    for _ in range(10):
        report(track, MILLION)
    with system_scope():
        usage, call = replace(USAGE, reported_nano=MILLION), TrackedCall(at=AT)
        assert track_request(other_organization.pk, "deepseek", "deepseek-chat", usage, call).cost_nano == MILLION
