"""Approval of prices by a second person."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.security_log.models import SecurityEvent
from cost_app.models import ModelPrice, PriceProposal
from cost_app.prices.importing import import_prices
from tests.conftest import make_member
from tests.cost_app.prices.conftest import FIELDS

HTMX = {"HX-Request": "true"}


@pytest.fixture
def colleague(organization: Organization) -> User:
    """Another user with the right to approve prices."""
    person = make_member(organization, Role.VIEWER, "colleague")
    person.is_staff = True
    person.save()
    person.user_permissions.add(Permission.objects.get(codename="approve_prices"))
    return person


def test_added_price_requires_approval_by_another_user(
    staff: Client, colleague: User, client_of: Callable[[User], Client]
) -> None:
    assert staff.post(reverse("price_add"), FIELDS).status_code == 302
    row = PriceProposal.objects.get()
    assert (row.proposed_by, row.state) == ("user:owner", "waiting")
    refused = staff.post(reverse("price_approve", args=[row.pk]), headers=HTMX)
    assert refused.status_code == 422
    assert not ModelPrice.objects.filter(provider=row.provider).exists()
    assert client_of(colleague).post(reverse("price_approve", args=[row.pk]), headers=HTMX).status_code == 200
    assert ModelPrice.objects.get(provider=row.provider).added_by == "user:colleague"
    changes = SecurityEvent.objects.filter(event__startswith="price.").order_by("sequence")
    assert list(changes.values_list("event", "actor")) == [
        ("price.proposed", "user:owner"),
        ("price.added", "user:colleague"),
    ]


@pytest.mark.parametrize("lost", ["is_active", "is_staff"])
def test_added_price_applies_immediately_if_no_one_else_can_approve_it(
    staff: Client, colleague: User, lost: str
) -> None:
    User.objects.filter(pk=colleague.pk).update(**{lost: False})
    assert staff.post(reverse("price_add"), FIELDS).status_code == 302
    assert not PriceProposal.objects.exists()


def test_import_keeps_prices_that_a_user_proposed(staff: Client, colleague: User) -> None:
    staff.post(reverse("price_add"), FIELDS)
    import_prices(actor="command:import_prices")
    assert PriceProposal.objects.filter(proposed_by="user:owner", state="waiting").exists()
    assert staff.post(reverse("price_add"), FIELDS).status_code == 422
