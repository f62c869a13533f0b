"""A tab that shows one organization, after its person has switched to another in a second tab."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import add_member
from aiinfra.tenants.models import Invitation, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.support.html_forms import forms_of

MEMBERS = "/settings/members/"


@pytest.fixture
def browser(
    owner: User, organization: Organization, other_organization: Organization, client_of: Callable[[User], Client]
) -> Client:
    """Of an owner of both organizations, who works in the first one."""
    add_member(organization=other_organization, user=owner, role=Role.OWNER, actor="command:test")
    client = client_of(owner)
    switch(client, organization)
    return client


def switch(client: Client, to: Organization) -> None:
    client.post(reverse("switch_organization"), {"organization": to.slug})


def invitations(organization: Organization) -> int:
    with organization_scope(organization.pk):
        return Invitation.objects.count()


def test_form_of_the_other_organization_changes_nothing(browser: Client, other_organization: Organization) -> None:
    url = reverse("member_invite")
    form = next(each for each in forms_of(browser.get(MEMBERS).text, MEMBERS) if each.action == url)
    data = {**form.data(), "email": "new@example.com", "role": "viewer"}
    switch(browser, other_organization)
    response = browser.post(url, data, headers={"Referer": f"http://testserver{MEMBERS}"}, follow=True)
    assert response.redirect_chain == [(MEMBERS, 302)]
    assert f"you switched to {other_organization}" in response.text
    assert invitations(other_organization) == 0


def test_forms_of_the_current_organization_are_accepted(browser: Client, organization: Organization) -> None:
    url = reverse("member_invite")
    form = next(each for each in forms_of(browser.get(MEMBERS).text, MEMBERS) if each.action == url)
    assert browser.post(url, {**form.data(), "email": "new@example.com", "role": "viewer"}).status_code == 200
    assert invitations(organization) == 1


def test_live_page_follows_to_the_other_organization(
    browser: Client, organization: Organization, other_organization: Organization
) -> None:
    headers = {
        "HX-Request": "true",
        "HX-Current-URL": "http://testserver/budgets/5/",
        "X-Organization": organization.slug,
    }
    assert browser.get("/budgets/", headers=headers).status_code == 200
    switch(browser, other_organization)
    response = browser.get("/budgets/", headers=headers)
    assert (response.status_code, response.headers["HX-Redirect"]) == (409, "/budgets/")


def test_stale_tab_can_still_switch_and_log_out(browser: Client, other_organization: Organization) -> None:
    page = browser.get(MEMBERS).text
    switch(browser, other_organization)
    for name in ("switch_organization", "logout"):
        form = next(each for each in forms_of(page, MEMBERS) if each.action == reverse(name))
        response = browser.post(form.action, {**form.data(), "organization": "north"})
        assert response.status_code == 302
        assert "Nothing was saved" not in response.text
    assert browser.get(MEMBERS).status_code == 302
