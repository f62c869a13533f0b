"""In a new organization, each role can open every link and submit every form that its pages show."""

from collections.abc import Callable
from urllib.parse import urljoin

import pytest
from django.db import transaction
from django.test import Client

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from cost_app.prices import lookup
from tests.support.html_forms import forms_of, links_of
from tests.web.test_every_form import NOT_SENT, name_of, pages_of

NAME = "North Ltd."


@pytest.fixture
def pages(
    organization: Organization, redis_url: str, member_of: Callable[[Role], User]
) -> Callable[[Role], tuple[Client, list[tuple[str, str]]]]:
    """A client of a member with the role, and every page that it can reach in a new organization without calls."""
    lookup.clear_price_cache()
    lookup.add_shipped_prices()
    Organization.objects.filter(pk=organization.pk).update(name=NAME)

    def open_all(role: Role) -> tuple[Client, list[tuple[str, str]]]:
        client = Client()
        client.force_login(member_of(role))
        return client, list(pages_of(client))

    return open_all


@pytest.mark.parametrize("role", Role)
def test_no_link_and_no_form_is_refused(
    role: Role, pages: Callable[[Role], tuple[Client, list[tuple[str, str]]]]
) -> None:
    client, found = pages(role)
    refused, asked = set[str](), set[str]()
    for page, html in found:
        for target in sorted(urljoin(page, link).partition("#")[0] for link in links_of(html)):
            if (name := name_of(target)) and name not in asked:
                asked.add(name)
                if client.get(target).status_code == 403:
                    refused.add(f"{page} links to {target}")
        for form in forms_of(html, page):
            for button in form.buttons if form.method == "post" else []:
                target = urljoin(page, form.target(button))
                if name_of(target) in NOT_SENT:
                    continue
                with transaction.atomic():
                    if client.post(target, form.data(button)).status_code == 403:
                        refused.add(f"{page} posts to {target}")
                    transaction.set_rollback(True)
    assert len(found) > 15
    assert refused == set()


def test_a_name_that_ends_with_a_period_gets_no_second_one(
    pages: Callable[[Role], tuple[Client, list[tuple[str, str]]]],
) -> None:
    _, found = pages(Role.OWNER)
    assert any(NAME in html for _, html in found)
    assert [page for page, html in found if f"{NAME}." in html] == []
