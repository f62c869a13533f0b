from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from aiinfra.tenants import audit, keys
from aiinfra.tenants.admin import TenantAdmin
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Membership, Organization, TenantModel, User
from aiinfra.tenants.scope import organization_scope

Browser = Callable[[User], Client]
PAGES = ["user", "organization", "membership", "apikey", "invitation", "auditevent"]


@pytest.fixture
def staff(owner: User) -> User:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    return owner


@pytest.mark.parametrize("page", PAGES)
def test_staff_sees_the_rows_of_all_organizations(
    page: str, staff: User, stranger: User, other_organization: Organization, client_of: Browser
) -> None:
    key, _ = keys.create_key(organization=other_organization, name="their bot", role=Role.VIEWER, actor="command:test")
    response = client_of(staff).get(reverse(f"admin:tenants_{page}_changelist"))
    assert response.status_code == 200
    expected = {"user": "stranger", "organization": "south", "membership": "stranger", "apikey": key.key_id}
    assert expected.get(page, "") in response.text


def test_members_are_no_staff(viewer: User, client_of: Browser) -> None:
    response = client_of(viewer).get(reverse("admin:tenants_organization_changelist"))
    assert response.status_code == 302


def test_the_audit_log_is_for_reading(organization: Organization, staff: User, client_of: Browser) -> None:
    event = audit.record(organization_id=organization.pk, actor="x", verb="a.b", target="t")
    client = client_of(staff)
    assert client.get(reverse("admin:tenants_auditevent_add")).status_code == 403
    assert client.get(reverse("admin:tenants_auditevent_change", args=[event.pk])).status_code == 200
    assert client.post(reverse("admin:tenants_auditevent_change", args=[event.pk]), {"actor": "y"}).status_code == 403
    assert client.post(reverse("admin:tenants_auditevent_delete", args=[event.pk])).status_code == 403


def test_a_key_s_digest_is_not_shown(organization: Organization, staff: User, client_of: Browser) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    page = client_of(staff).get(reverse("admin:tenants_apikey_change", args=[key.pk])).text
    assert key.key_id in page
    assert key.secret_digest not in page


def test_what_staff_changes_is_recorded_too(organization: Organization, staff: User, client_of: Browser) -> None:
    person = User.objects.create_user("new-owner")
    client = client_of(staff)
    client.post(
        reverse("admin:tenants_membership_add"),
        {"organization": organization.pk, "user": person.pk, "role": "owner",
         "created_at_0": "2026-01-01", "created_at_1": "12:00:00"},
    )  # fmt: skip
    member = Membership.objects.get(user=person)
    client.post(reverse("admin:tenants_membership_delete", args=[member.pk]), {"post": "yes"})
    with organization_scope(organization.pk):
        events = list(AuditEvent.objects.order_by("at").values_list("verb", "actor"))
    assert events == [("membership.created", "user:owner"), ("membership.deleted", "user:owner")]


def test_every_table_of_a_tenant_in_the_admin_has_the_base_class() -> None:
    for model, model_admin in admin.site._registry.items():
        assert not issubclass(model, TenantModel) or isinstance(model_admin, TenantAdmin), model
