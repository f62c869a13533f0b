"""In a new organization, each role can open every link and submit every form that its pages show."""

from collections.abc import Callable

import pytest
from django.test import Client

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from cost_app.prices import lookup
from tests.web.test_every_form import pages_of, posts_of, submitted

NAME = "North Ltd."


@pytest.fixture
def client_as(
    organization: Organization, redis_url: str, member_of: Callable[[Role], User]
) -> Callable[[Role], Client]:
    """Creates a client of a member with the role in a new organization without calls."""
    lookup.clear_price_cache()
    lookup.add_shipped_prices()
    Organization.objects.filter(pk=organization.pk).update(name=NAME)

    def log_in(role: Role) -> Client:
        client = Client()
        client.force_login(member_of(role))
        return client

    return log_in


@pytest.mark.parametrize("role", Role)
def test_no_link_and_no_form_is_refused(role: Role, client_as: Callable[[Role], Client]) -> None:
    client, refused = client_as(role), set[str]()
    pages = list(pages_of(client, refused))
    for page, form, button in posts_of(pages):
        name, status, _ = submitted(client, page, form, button)
        if status == 403:
            refused.add(f"{page.url} posts to {name}")
    assert len(pages) > 15
    assert refused == set()


def test_a_name_that_ends_with_a_period_gets_no_second_one(client_as: Callable[[Role], Client]) -> None:
    pages = list(pages_of(client_as(Role.OWNER)))
    assert any(NAME in page.html for page in pages)
    assert [page.url for page in pages if f"{NAME}." in page.html] == []
