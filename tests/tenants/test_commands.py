import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.tenants import demo, key_authentication
from aiinfra.tenants.models import ApiKey, AuditEvent, Membership, Organization, User
from aiinfra.tenants.scope import system_scope

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def run(*argv: str) -> list[str]:
    out = StringIO()
    call_command(*argv, stdout=out)
    return out.getvalue().splitlines()


def test_createorg_creates_an_organization_once() -> None:
    assert run("createorg", "west", "--name", "West", "--timezone", "Asia/Tokyo") == ["Created organization west."]
    assert "exists" in run("createorg", "west", "--name", "Other")[0]
    assert Organization.objects.get().name == "West"


def test_createorg_rejects_invalid_values() -> None:
    with pytest.raises(CommandError, match="Mars/Base"):
        run("createorg", "west", "--timezone", "Mars/Base")


def test_createorg_creates_an_owner_with_a_working_password(client: Client) -> None:
    line = run("createorg", "west", "--owner", "Ada@west.example")[1]
    password = line.split(" password ")[1].split()[0]
    assert client.login(username="ada@west.example", password=password)
    membership = Membership.objects.get(organization__slug="west")
    assert (membership.user.username, membership.role) == ("ada@west.example", "owner")


def test_createorg_keeps_an_existing_accounts_password() -> None:
    user = User.objects.create_user("ada", "Ada@west.example", "her own password")
    line = run("createorg", "west", "--owner", "ada@west.example")[1]
    assert "with the password" not in line
    user.refresh_from_db()
    assert user.check_password("her own password")
    assert Membership.objects.get().user == user


def test_createorg_with_an_invalid_owner_creates_nothing() -> None:
    with pytest.raises(CommandError, match="valid email"):
        run("createorg", "west", "--owner", "nobody")
    assert not Organization.objects.exists()


def test_createapikey_prints_only_the_key_on_the_last_line(organization: Organization) -> None:
    lines = run("createapikey", "north", "--name", "bot", "--role", "operator", "--scopes", "queue:read,chat:write")
    principal = key_authentication.authenticate(f"Bearer {lines[-1]}")
    assert principal is not None
    assert principal.scopes == {"queue:read", "chat:write"}


def test_createapikey_rejects_unknown_values(organization: Organization) -> None:
    with pytest.raises(CommandError, match="does not exist"):
        run("createapikey", "nowhere", "--name", "bot", "--role", "viewer")
    with pytest.raises(CommandError, match="queue:write"):
        run("createapikey", "north", "--name", "bot", "--role", "viewer", "--scopes", "queue:write")


def counts() -> list[int]:
    with system_scope():
        return [model.objects.count() for model in (Organization, User, Membership, ApiKey, AuditEvent)]


def test_seeding_twice_changes_nothing() -> None:
    first = run("seed_demo")
    before = counts()
    assert run("seed_demo") == first
    assert counts() == before == [2, 5, 6, 1, 9]
    assert User.objects.get(username="owner@demo").check_password(demo.password())


def test_demo_key_file_is_private_and_a_lost_key_is_replaced() -> None:
    key = run("seed_demo")[-1]
    assert demo.key_path().read_text() == key
    assert stat.S_IMODE(demo.key_path().stat().st_mode) == 0o600
    demo.key_path().unlink()
    other = run("seed_demo")[-1]
    assert other != key
    assert key_authentication.authenticate(f"Bearer {key}") is None
    assert key_authentication.authenticate(f"Bearer {other}")


def test_demo_logins_are_listed_only_when_the_demo_exists() -> None:
    assert demo.demo_logins() == []
    run("seed_demo")
    assert "viewer@demo" in demo.demo_logins()
