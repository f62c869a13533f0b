import pytest
from django.core.exceptions import ValidationError

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.organizations import create_organization, update_organization
from aiinfra.tenants.scope import organization_scope


def update(organization: Organization, **changes: str) -> bool:
    fields = {"name": "North Ltd", "time_zone": "Europe/Berlin", **changes}
    return update_organization(organization=organization, actor="user:owner", **fields)


@pytest.mark.django_db
def test_organization_is_created_and_recorded() -> None:
    made = create_organization(slug="west", time_zone="Asia/Tokyo", actor="command:createorg")
    assert (made.name, made.time_zone, made.is_demo) == ("west", "Asia/Tokyo", False)
    with organization_scope(made.pk):
        assert AuditEvent.objects.get().verb == "organization.created"


@pytest.mark.parametrize("wrong", [{"slug": "a b"}, {"slug": ""}, {"time_zone": "Mars/Base"}, {"slug": "north"}])
def test_invalid_values_are_rejected(organization: Organization, wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        create_organization(actor="command:createorg", **{"slug": "west", **wrong})  # type: ignore[arg-type]
    assert Organization.objects.count() == 1


def test_only_changes_are_saved_and_recorded(organization: Organization) -> None:
    assert not update(organization)
    assert update(organization, name="Far North")
    with organization_scope(organization.pk):
        assert AuditEvent.objects.get().changes == {"name": ["North Ltd", "Far North"]}


def test_unknown_time_zone_changes_nothing(organization: Organization) -> None:
    with pytest.raises(ValidationError):
        update(organization, time_zone="../../etc/passwd")
    organization.refresh_from_db()
    assert organization.time_zone == "Europe/Berlin"
