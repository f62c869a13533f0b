"""Checks for every page of members, keys, and audit; tests/api/test_authorization_matrix.py checks permissions."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants import invitations, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, Invitation, Membership, Organization, User


@dataclass(frozen=True)
class Address:
    """A page or action, and the kind of row in its URL. A form's action may also open as a page."""

    name: str
    method: str
    names: str = ""
    opens_as_page: bool = False


ADDRESSES = [
    Address("members", "get"),
    Address("member_invite", "post"),
    Address("member_role", "post", "membership"),
    Address("member_remove", "post", "membership"),
    Address("invitation_withdraw", "post", "invitation"),
    Address("keys", "get"),
    Address("key_create", "post", opens_as_page=True),
    Address("key_rotate", "post", "key"),
    Address("key_revoke", "post", "key"),
    Address("organization", "get"),
    Address("audit", "get"),
]
NAMING = [address for address in ADDRESSES if address.names]
by_name = pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.name)


@pytest.fixture
def url_of(organization: Organization, owner: User, viewer: User) -> Callable[[Address], str]:
    """Builds the URL of an address with a row of the organization."""
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    invitation, _ = invitations.invite(
        organization=organization, email="new@example.com", role=Role.VIEWER, by=owner, actor="user:owner"
    )
    rows: dict[str, list[object]] = {
        "": [],
        "key": [key.key_id],
        "invitation": [invitation.pk],
        "membership": [Membership.objects.get(user=viewer).pk],
    }
    return lambda address: reverse(address.name, args=rows[address.names])


@pytest.mark.parametrize("address", NAMING, ids=lambda address: address.name)
def test_other_organizations_get_404_and_change_nothing(
    address: Address, url_of: Callable[[Address], str], stranger: User, client_of: Callable[[User], Client]
) -> None:
    response = client_of(stranger).post(url_of(address), {"role": "owner", "overlap": "0"})
    assert response.status_code == 404
    assert ApiKey._base_manager.get().revoked_at is None
    assert Invitation._base_manager.count() == 1
    assert Membership.objects.get(user__username="viewer").role == "viewer"


@by_name
def test_user_without_an_organization_gets_404(
    address: Address, url_of: Callable[[Address], str], client_of: Callable[[User], Client]
) -> None:
    nobody = User.objects.create_user("nobody")
    assert getattr(client_of(nobody), address.method)(url_of(address)).status_code == 404


@by_name
def test_other_methods_return_405(
    address: Address, url_of: Callable[[Address], str], owner: User, client_of: Callable[[User], Client]
) -> None:
    assert client_of(owner).delete(url_of(address)).status_code == 405
    if address.method == "post":
        assert client_of(owner).get(url_of(address)).status_code == (302 if address.opens_as_page else 405)


@by_name
def test_form_without_a_csrf_token_is_rejected(address: Address, url_of: Callable[[Address], str], owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    response = client.post(url_of(address))
    assert response.status_code == 403
    assert "Please try again" in response.text


@by_name
def test_invalid_input_changes_nothing(
    address: Address, url_of: Callable[[Address], str], owner: User, client_of: Callable[[User], Client]
) -> None:
    bad = {"name": "\0", "email": "no", "role": "king", "overlap": "x", "scopes": "\0", "time_zone": "Mars"}
    if address.method == "get" and address.name != "organization":
        assert client_of(owner).get(url_of(address), {"text": "\0", "cursor": "x~y", "actor": "%"}).status_code == 200
    elif address.name in {"member_invite", "member_role", "key_create", "key_rotate", "organization"}:
        assert client_of(owner).post(url_of(address), bad).status_code == 422
