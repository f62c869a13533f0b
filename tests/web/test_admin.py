import re
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
def test_staff_see_the_rows_of_all_organizations(
    page: str, staff: User, stranger: User, other_organization: Organization, client_of: Browser
) -> None:
    key, _ = keys.create_key(organization=other_organization, name="their bot", role=Role.VIEWER, actor="command:test")
    response = client_of(staff).get(reverse(f"admin:tenants_{page}_changelist"))
    assert response.status_code == 200
    expected = {"user": "stranger", "organization": "south", "membership": "stranger", "apikey": key.key_id}
    assert expected.get(page, "") in response.text


def test_tables_have_english_names() -> None:
    names = [str(model._meta.verbose_name_plural) for model in admin.site._registry]
    assert [name for name in names if re.search(r"ss$|ys$(?<!keys)(?<!days)|\bapi\b|\bai\b", name)] == []


def test_members_are_not_staff(viewer: User, client_of: Browser) -> None:
    response = client_of(viewer).get(reverse("admin:tenants_organization_changelist"))
    assert response.status_code == 302


def test_the_audit_log_is_read_only(organization: Organization, staff: User, client_of: Browser) -> None:
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


def test_adding_an_owner_in_the_admin_is_validated_and_audited(
    organization: Organization, staff: User, client_of: Browser
) -> None:
    person = User.objects.create_user("new-owner")
    client = client_of(staff)
    form = {"organization": organization.pk, "user": person.pk, "role": "owner"}
    assert client.post(reverse("admin:tenants_membership_add"), form).status_code == 302
    assert client.post(reverse("admin:tenants_membership_add"), form).status_code == 200, "the user is already a member"
    member = Membership.objects.get(user=person)
    assert client.post(reverse("admin:tenants_membership_change", args=[member.pk]), form).status_code == 403
    assert client.post(reverse("admin:tenants_membership_delete", args=[member.pk])).status_code == 403
    with organization_scope(organization.pk):
        events = list(AuditEvent.objects.order_by("at").values_list("verb", "actor"))
    assert events == [("member.added", "user:owner")]


def test_organizations_are_created_and_changed_with_validation_and_audit(staff: User, client_of: Browser) -> None:
    client = client_of(staff)
    form = {"slug": "west", "name": "West Ltd", "time_zone": "Europe/Paris"}
    assert client.post(reverse("admin:tenants_organization_add"), form).status_code == 302
    west = Organization.objects.get(slug="west")
    url = reverse("admin:tenants_organization_change", args=[west.pk])
    assert client.post(url, {**form, "slug": "east", "name": "West Inc."}).status_code == 302
    assert client.post(url, {**form, "time_zone": "Nowhere"}).status_code == 200
    west.refresh_from_db()
    assert (west.slug, west.name, west.time_zone) == ("west", "West Inc.", "Europe/Paris")
    with organization_scope(west.pk):
        verbs = list(AuditEvent.objects.order_by("at").values_list("verb", flat=True))
    assert verbs == ["organization.created", "organization.changed"]


def test_every_tenant_model_uses_the_tenant_admin_class() -> None:
    for model, model_admin in admin.site._registry.items():
        assert not issubclass(model, TenantModel) or isinstance(model_admin, TenantAdmin), model
