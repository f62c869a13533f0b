"""Users who are deactivated, removed, or demoted lose their keys, sessions, downloads, and invitations."""

from collections.abc import Callable, Iterator

import pytest
from django.db.models import ProtectedError
from django.http import HttpRequest
from django.test import Client

from aiinfra import timed_cache
from aiinfra.tenants import current_permissions, invitations, key_authentication, keys
from aiinfra.tenants.authorization import Principal, Role
from aiinfra.tenants.current_permissions import LostRightsError, while_allowed
from aiinfra.tenants.login.sessions import end_sessions
from aiinfra.tenants.middleware import principal_of
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.api.authorization_operations import API_CELLS, ApiCell
from tests.api.support import QUEUE, Caller

WAYS: dict[str, Callable[[User], object]] = {
    "deactivated": lambda person: User.objects.filter(pk=person.pk).update(is_active=False),
    "removed": lambda person: Membership.objects.filter(user=person).delete(),
    "demoted": lambda person: Membership.objects.filter(user=person).update(role=Role.VIEWER),
}
"""Changes by Django admin, single sign-on, or a script, which bypass the functions behind our pages."""
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def key(organization: Organization, admin: User) -> str:
    """The text of an API key with all scopes that the admin created."""
    return keys.create_key(
        organization=organization, name="bot", role=Role.ADMIN, created_by=admin, actor="user:admin"
    )[1]


def revoke_rights(person: User, way: str) -> None:
    WAYS[way](person)
    timed_cache.clear_all()  # simulates an expired cache


@every_way
@pytest.mark.parametrize("cell", API_CELLS, ids=str)
def test_key_is_rejected_when_its_creator_lost_their_rights(
    admin: User, key: str, redis_url: str, cell: ApiCell, way: str
) -> None:
    caller, action = Caller(key=key), {"action": cell.action} if cell.action else {}
    revoke_rights(admin, way)
    answer = caller.get(cell.address, **action) if cell.method == "GET" else caller.post(cell.address, action)
    assert answer.status_code == 401


@every_way
def test_rotated_key_depends_on_the_user_who_rotated_it(
    organization: Organization, admin: User, owner: User, key: str, redis_url: str, way: str
) -> None:
    with organization_scope(organization.pk):
        _, text = keys.rotate_key(
            key=ApiKey.objects.get(), overlap=keys.ROTATION_OVERLAP_MAX, rotated_by=owner, actor="user:owner"
        )
    revoke_rights(owner, way)
    assert Caller(key=text).get(QUEUE, action="stats").status_code == 401
    assert Caller(key=key).get(QUEUE, action="stats").status_code == 200


def test_user_with_keys_cannot_be_deleted(admin: User, key: str) -> None:
    with pytest.raises(ProtectedError):
        admin.delete()


@every_way
def test_session_is_rejected_when_its_user_lost_their_rights(
    admin: User, client_of: Callable[[User], Client], way: str
) -> None:
    client = client_of(admin)
    assert client.get("/settings/keys/").status_code == 200
    revoke_rights(admin, way)
    assert client.get("/settings/keys/").status_code == {"deactivated": 302, "removed": 404, "demoted": 403}[way]


@every_way
def test_invitation_is_invalid_when_its_inviter_lost_their_rights(
    organization: Organization, admin: User, way: str
) -> None:
    _, token = invitations.invite(
        organization=organization, email="new@example.com", role=Role.OPERATOR, by=admin, actor="user:admin"
    )
    assert invitations.find_open(token)
    revoke_rights(admin, way)
    assert invitations.find_open(token) is None


def request_of(key: str | None, client: Client | None) -> HttpRequest:
    request = HttpRequest()
    if key:
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    if client:
        request.session = client.session
    return request


@every_way
@pytest.mark.parametrize("by_session", [True, False], ids=["session", "key"])
def test_download_stops_when_its_reader_lost_their_rights(
    admin: User,
    key: str,
    client_of: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    by_session: bool,
) -> None:
    monkeypatch.setattr(current_permissions, "CHECK_S", 0)
    request = request_of(None, client_of(admin)) if by_session else request_of(key, None)
    principal = (
        principal_of(admin.memberships.get()) if by_session else key_authentication.authenticate(f"Bearer {key}")
    )
    assert isinstance(principal, Principal)
    sent: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        yield b"first"
        revoke_rights(admin, way)
        yield b"second"

    with pytest.raises(LostRightsError):
        sent.extend(while_allowed(request, principal, chunks()))
    assert sent == [b"first"]


def test_download_stops_when_its_session_was_ended_remotely(
    admin: User, client_of: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_permissions, "CHECK_S", 0)
    principal, sent = principal_of(admin.memberships.get()), []

    def chunks() -> Iterator[bytes]:
        yield b"first"
        yield b"second"
        end_sessions(admin, why="test")
        yield b"third"

    with pytest.raises(LostRightsError):
        sent.extend(while_allowed(request_of(None, client_of(admin)), principal, chunks()))
    assert sent == [b"first", b"second"]
