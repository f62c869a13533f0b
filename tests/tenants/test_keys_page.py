import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aiinfra.tenants import key_authentication, keys
from aiinfra.tenants.authorization import PERMISSIONS, Role
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.scopes import SCOPES

Browser = Callable[[User], Client]


def shown_key(page: str) -> str:
    match = re.search(r"aik_\w{8}_\w{32}_\w{6}", page)
    assert match is not None
    return match[0]


def make(organization: Organization, name: str = "bot", role: Role = Role.VIEWER) -> ApiKey:
    return keys.create_key(organization=organization, name=name, role=role, actor="command:test")[0]


def test_empty_page_explains_keys(admin: User, client_of: Browser) -> None:
    assert "No API keys yet" in client_of(admin).get(reverse("keys")).text


def test_key_is_shown_once_and_works(admin: User, client_of: Browser) -> None:
    client = client_of(admin)
    created = client.post(
        reverse("key_create"), {"name": "bot", "role": "operator", "scopes": ["queue:read"], "lifetime": "30"}
    )
    assert (created.status_code, created.headers["Location"]) == (302, reverse("keys"))
    response = client.get(reverse("keys"))
    text = shown_key(response.text)
    principal = key_authentication.authenticate(f"Bearer {text}")
    assert principal is not None
    assert principal.scopes == {"queue:read"}
    assert "no-store" in response.headers["Cache-Control"]
    assert text not in client.get(reverse("keys")).text


def test_cookie_of_a_new_key_is_limited_to_the_keys_page(admin: User, client_of: Browser) -> None:
    cookie = client_of(admin).post(reverse("key_create"), {"name": "bot", "role": "operator"}).cookies["new_key"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (
        reverse("keys"),
        True,
        "Strict",
        60,
    )


@pytest.mark.parametrize("cookie", ["nonsense", "abcdefgh:secret"])
def test_forged_cookie_shows_no_key(admin: User, client_of: Browser, cookie: str) -> None:
    client = client_of(admin)
    client.cookies["new_key"] = cookie
    page = client.get(reverse("keys"))
    assert (page.status_code, "Copy it now" in page.text) == (200, False)


def test_form_url_opens_the_dialog(admin: User, client_of: Browser) -> None:
    page = client_of(admin).get(reverse("key_create"), follow=True)
    assert page.redirect_chain == [(f"{reverse('keys')}?new", 302)]
    assert "data-open" in page.text
    assert '<option value="operator" selected>' in page.text


def test_every_scope_is_described() -> None:
    described = [name for scopes in SCOPES.values() for name in scopes]
    assert sorted(described) == sorted(name for name, right in PERMISSIONS.items() if right.by_key)


def test_scope_outside_the_role_is_named_in_the_form(admin: User, client_of: Browser) -> None:
    response = client_of(admin).post(
        reverse("key_create"), {"name": "bot", "role": "viewer", "scopes": ["queue:write"]}
    )
    assert response.status_code == 422
    assert "does not include these scopes: queue:write" in response.text
    assert "data-open" in response.text
    assert not ApiKey._base_manager.exists()


def test_admin_cannot_create_or_rotate_a_key_of_an_owner(
    organization: Organization, admin: User, client_of: Browser
) -> None:
    client = client_of(admin)
    assert client.post(reverse("key_create"), {"name": "bot", "role": "owner"}).status_code == 422
    assert client.post(reverse("key_create"), {"name": "b\u202eot", "role": "operator"}).status_code == 422
    key = make(organization, role=Role.OWNER)
    response = client.post(reverse("key_rotate", args=[key.key_id]), {"overlap": "1"})
    assert response.status_code == 422
    assert "more permissions" in response.text


def test_rotated_key_is_shown_as_replaced(organization: Organization, admin: User, client_of: Browser) -> None:
    key = make(organization)
    client = client_of(admin)
    response = client.post(reverse("key_rotate", args=[key.key_id]), {"overlap": "1"}, follow=True)
    assert key_authentication.authenticate(f"Bearer {shown_key(response.text)}")
    assert "replaced" in response.text


def test_key_is_revoked(organization: Organization, admin: User, client_of: Browser) -> None:
    key = make(organization)
    response = client_of(admin).post(reverse("key_revoke", args=[key.key_id]), follow=True)
    assert " revoked." in response.text
    with organization_scope(organization.pk):
        assert ApiKey.objects.get().revoked_at is not None


def test_key_name_is_escaped(organization: Organization, admin: User, client_of: Browser) -> None:
    make(organization, name="<script>alert(1)</script>")
    assert "<script>alert" not in client_of(admin).get(reverse("keys")).text


def test_query_count_does_not_grow_with_keys(organization: Organization, admin: User, client_of: Browser) -> None:
    client = client_of(admin)
    make(organization)
    with CaptureQueriesContext(connection) as few:
        client.get(reverse("keys"))
    for number in range(9):
        key = make(organization, name=str(number))
        ApiKey._base_manager.filter(pk=key.pk).update(created_by=admin)
    with CaptureQueriesContext(connection) as many:
        client.get(reverse("keys"))
    assert len(many) == len(few)
