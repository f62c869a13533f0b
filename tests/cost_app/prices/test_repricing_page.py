"""The page that corrects prices."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization, User
from tests.cost_app.prices.repricing import DAY, NOW, Call, ledger_sum, price

DAYS = {"provider": "local", "model": "m", "first": f"{NOW - 7 * DAY:%Y-%m-%d}", "last": f"{NOW + DAY:%Y-%m-%d}"}


def test_page_shows_the_difference_before_posting_it(staff: Client, call: Call, organization: Organization) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    page = staff.get(reverse("price_repricing"), DAYS).text
    assert "North Ltd" in page
    assert "$0.0000022" in page
    assert "Correct 1 call" in page
    assert f'value="{DAYS["first"]}"' in page
    assert ledger_sum(organization) == 1_100
    response = staff.post(reverse("price_reprice"), {**DAYS, "reason": "the list was wrong"}, follow=True)
    assert "Corrections posted" in response.text
    assert "the list was wrong" in response.text
    assert ledger_sum(organization) == 3_300
    assert "already has today" in staff.get(reverse("price_repricing"), DAYS).text
    again = staff.post(reverse("price_reprice"), {**DAYS, "reason": "again"}, follow=True)
    assert "nothing to correct" in again.text


def test_page_counts_days_in_the_organization_s_time_zone(staff: Client, call: Call) -> None:
    """Berlin is an hour ahead of UTC in November."""
    price(1, days=-400)
    midnight = datetime(2026, 11, 2, 23, tzinfo=UTC)
    call(created_at=midnight, dispatched_at=midnight)
    for day, is_counted in (("2026-11-02", False), ("2026-11-03", True)):
        page = staff.get(reverse("price_repricing"), {**DAYS, "first": day, "last": day}).text
        assert ("No calls" not in page) is is_counted


def test_the_empty_page_explains_repricing(staff: Client) -> None:
    price(1, days=-1)
    assert "No repricings yet" in staff.get(reverse("price_repricing")).text
    assert "No calls" in staff.get(reverse("price_repricing"), DAYS).text


@pytest.mark.parametrize(
    "wrong", [{"first": "soon"}, {"provider": "nobody"}, {"first": "2026-11-03", "last": "2026-11-02"}]
)
def test_invalid_period_is_rejected(staff: Client, wrong: dict[str, str]) -> None:
    price(1, days=-1)
    assert staff.get(reverse("price_repricing"), {**DAYS, **wrong}).status_code == 422
    assert staff.post(reverse("price_reprice"), {**DAYS, **wrong, "reason": "x"}).status_code == 422


def test_nothing_is_posted_without_a_reason(staff: Client, call: Call, organization: Organization) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    response = staff.post(reverse("price_reprice"), DAYS)
    assert response.status_code == 422
    assert "Correct 1 call" in response.text
    assert ledger_sum(organization) == 1_100


def test_large_period_requires_the_command(
    staff: Client, call: Call, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cost_app.prices.views.CALLS_MAX", 1)
    price(1, days=-30)
    call()
    call()
    price(3, days=-8)
    shown = staff.get(reverse("price_repricing"), DAYS)
    posted = staff.post(reverse("price_reprice"), {**DAYS, "reason": "x"})
    for response in (shown, posted):
        assert response.status_code == 422
        assert "manage.py reprice" in response.text
    assert ledger_sum(organization) == 2_200


def test_posting_requires_post_and_staff(owner: User, client_of: Callable[[User], Client]) -> None:
    client = client_of(owner)
    assert client.post(reverse("price_reprice"), DAYS).status_code == 403
    owner.is_staff = owner.is_superuser = True
    owner.save()
    assert client.get(reverse("price_reprice")).status_code == 405
