"""An edit form refuses to overwrite a newer version and shows the stored values."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aiinfra.notifications.models import Channel
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Membership, Organization, User
from aiinfra.tenants.scope import system_scope
from cost_app.models import CostPolicy
from tests.support.html_forms import Form, forms_of

ClientOf = Callable[[User], Client]
EDITED: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "/settings/organization/": ({"name": "First Ltd"}, {"time_zone": "Asia/Tokyo"}, "Name: First Ltd"),
    "/costs/settings/": ({"spike_percent": "333"}, {"month_starts_on": "5"}, "333"),
    "/cache/settings/": ({"ttl_hours": "77"}, {"max_entries": "500"}, "77"),
    "/alerts/rules/": ({"max_wait_s": "222"}, {"max_depth": "55"}, "222"),
}
every_page = pytest.mark.parametrize("page", EDITED)


@pytest.fixture
def client(owner: User, client_of: ClientOf) -> Client:
    return client_of(owner)


def form_on(client: Client, page: str) -> Form:
    return next(form for form in forms_of(client.get(page).text, page) if form.method == "post" and form.action == page)


def changes() -> int:
    with system_scope():
        return AuditEvent.objects.count()


@every_page
def test_a_stale_save_is_refused_and_shows_stored_values(client: Client, page: str) -> None:
    first, second, shown = EDITED[page]
    opened_first, opened_second = form_on(client, page), form_on(client, page)
    assert client.post(page, {**opened_first.data(), **first}).status_code == 302
    before = changes()
    refused = client.post(page, {**opened_second.data(), **second})
    assert refused.status_code == 422
    assert "changed after you opened it" in refused.text
    assert shown in refused.text
    assert len(re.findall(r"[^;.]+: ", refused.text.partition("Current values: ")[2].partition(" Save again")[0])) == 2
    assert changes() == before


@every_page
def test_saving_the_refused_form_again_overwrites(client: Client, page: str) -> None:
    first, second, _ = EDITED[page]
    opened_second = form_on(client, page)
    client.post(page, {**form_on(client, page).data(), **first})
    refused = client.post(page, {**opened_second.data(), **second})
    again = next(form for form in forms_of(refused.text, page) if form.method == "post" and form.action == page)
    assert client.post(page, again.data()).status_code == 302


@every_page
def test_a_form_without_a_stored_version_can_be_saved_twice(client: Client, page: str) -> None:
    first, second, _ = EDITED[page]
    for values in (first, second):
        assert client.post(page, {**form_on(client, page).data(), **values}).status_code == 302


@every_page
def test_an_invalid_value_is_not_a_conflict(client: Client, page: str) -> None:
    field = next(iter(EDITED[page][0]))
    answer = client.post(page, {**form_on(client, page).data(), field: ""})
    assert answer.status_code == 422
    assert "changed after you opened it" not in answer.text


def test_a_concurrently_changed_role_is_not_overwritten(
    client: Client, organization: Organization, viewer: User
) -> None:
    membership = Membership.objects.get(user=viewer)
    action = f"/settings/members/{membership.pk}/role/"
    opened = next(form for form in forms_of(client.get("/settings/members/").text, "") if form.action == action)
    client.post(action, {"role": Role.FINANCE, "seen": Role.VIEWER})
    answer = client.post(action, {**opened.data(), "role": Role.OPERATOR})
    assert answer.status_code == 422
    assert "was changed to finance after you opened this page" in answer.text
    membership.refresh_from_db()
    assert membership.role == Role.FINANCE


def test_turning_a_channel_off_twice_leaves_it_off(client: Client, organization: Organization) -> None:
    with system_scope():
        channel = Channel.objects.create(organization=organization, name="Ops", kind="email", target="a@example.com")
    action = f"/settings/notifications/{channel.pk}/switch/"
    seen: list[dict[str, Any]] = []
    for _ in range(2):
        page = client.get("/settings/notifications/").text
        form = next(form for form in forms_of(page, "") if form.action == action)
        seen.append(form.data(form.buttons[0]))
    for data in seen:
        client.post(action, data)
    with system_scope():
        channel.refresh_from_db()
    assert not channel.enabled


def test_a_post_without_a_version_is_accepted(client: Client, organization: Organization) -> None:
    data = {name: value for name, value in form_on(client, "/costs/settings/").data().items() if name != "version"}
    assert client.post("/costs/settings/", data).status_code == 302
    with system_scope():
        assert CostPolicy.objects.count() == 1


def test_a_concurrently_changed_admin_record_is_not_overwritten(
    owner: User, organization: Organization, client: Client
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    page = f"/admin/tenants/organization/{organization.pk}/change/"
    opened = [next(form for form in forms_of(client.get(page).text, page) if "organization" in form.id) for _ in "ab"]
    assert client.post(page, {**opened[0].data(), "name": "First Ltd"}).status_code == 302
    answer = client.post(page, {**opened[1].data(), "time_zone": "Asia/Tokyo"})
    assert "changed after you opened it" in answer.text
    organization.refresh_from_db()
    assert (organization.name, organization.time_zone) == ("First Ltd", "Europe/Berlin")
