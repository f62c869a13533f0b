"""The command `createadmin`, which creates the first administrator of an installation."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from aiinfra.tenants import administrators
from aiinfra.tenants.models import AuditEvent, Membership, Organization, User
from aiinfra.tenants.scope import installation_scope

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("createadmin", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_new_administrator_gets_a_password_on_the_last_line() -> None:
    assert not administrators.exists()
    lines = create("Ada@Company.example")
    user = User.objects.get()
    assert (user.username, user.is_staff, user.is_superuser) == ("ada@company.example", True, True)
    assert user.check_password(lines[-1])
    assert administrators.exists()
    with installation_scope():
        event = AuditEvent.objects.get()
    assert (event.actor, event.verb) == ("command:createadmin", "administrator.created")


def test_existing_account_keeps_its_password() -> None:
    User.objects.create_user("ada@company.example", "ada@company.example", "her own password")
    assert "existing password" in create("ada@company.example")[0]
    user = User.objects.get()
    assert user.is_superuser
    assert user.check_password("her own password")


def test_organization_option_makes_the_administrator_an_owner_and_creates_missing_organizations(
    organization: Organization,
) -> None:
    create("ada@company.example", "--organization", "west")
    create("ada@company.example", "--organization", "west")
    create("ada@company.example", "--organization", organization.slug)
    slugs = Membership.objects.filter(role="owner").values_list("organization__slug", flat=True)
    assert sorted(slugs) == ["north", "west"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["owner@demo"], "valid email"),
        (["nobody"], "valid email"),
        (["ada@company.example", "--organization", "not a slug"], "valid"),
    ],
)
def test_invalid_arguments_create_nothing(arguments: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        create(*arguments)
    assert not User.objects.exists()
