"""Staff need named rights: `is_staff` alone opens only the admin index, and staff cannot grant rights to themselves."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import installation_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from aiinfra.tenants.staff import TITLES, StaffRight
from tests.api.authorization_cells import PAGE_CELLS, PageCell
from tests.conftest import make_member

STAFF_CELLS = [cell for cell in PAGE_CELLS if cell.permission.startswith("staff:") and not cell.names]
WORKER_PAGES = ["/admin/django-rq/", "/admin/django_rq/dashboard/", "/admin/django-rq/queues/0/empty/"]


@pytest.fixture
def staff(organization: Organization) -> User:
    """A member of staff without rights."""
    person = make_member(organization, Role.VIEWER, "staff")
    person.is_staff = True
    person.save()
    return person


def grant(person: User, right: str) -> User:
    person.user_permissions.add(Permission.objects.get(codename=right, content_type__app_label="tenants"))
    return User.objects.get(pk=person.pk)


@pytest.fixture
def newcomer(db: None) -> User:
    """Staff without rights and without an organization, such as a new administrator's colleague."""
    return User.objects.create_user("newcomer", is_staff=True)


def call(client: Client, cell: PageCell) -> int:
    return int(getattr(client, cell.method)(reverse(cell.url_name)).status_code)


@pytest.mark.parametrize("person", ["staff", "newcomer"])
@pytest.mark.parametrize("cell", STAFF_CELLS, ids=str)
def test_each_installation_page_requires_its_own_right(
    request: pytest.FixtureRequest, client_of: Callable[[User], Client], cell: PageCell, person: str
) -> None:
    staff: User = request.getfixturevalue(person)
    wanted = cell.permission.removeprefix("staff:")
    assert call(client_of(staff), cell) == 403
    for right in StaffRight:
        if right != wanted:
            staff = grant(staff, right)
    assert call(client_of(staff), cell) == 403
    assert call(client_of(grant(staff, wanted)), cell) not in {403, 404}


@pytest.mark.parametrize("page", ["/prices/", "/prices/proposals/", "/prices/openai/gpt-4/"])
def test_staff_who_approve_prices_can_read_them_without_an_organization(
    newcomer: User, client_of: Callable[[User], Client], page: str
) -> None:
    assert client_of(newcomer).get(page).status_code == 404
    assert client_of(grant(newcomer, StaffRight.APPROVE_PRICES)).get(page).status_code == 200


def test_staff_without_an_organization_see_what_they_can_open(
    newcomer: User, client_of: Callable[[User], Client]
) -> None:
    text = "You can open the pages in the navigation without an organization."
    assert text not in client_of(newcomer).get("/").text
    home = client_of(grant(newcomer, StaffRight.MANAGE_ALERTS)).get("/").text
    assert text in home
    links = re.findall(r'class="nav-link"\s+href="([^"]+)"', home)
    assert links == ["/installation/alerts/", "/installation/settings/"]


def test_changes_by_staff_without_an_organization_name_their_author(
    newcomer: User, client_of: Callable[[User], Client]
) -> None:
    form = {"max_wait_s": 30, "max_error_percent": 5, "min_requests": 20, "max_depth": 999}
    client_of(grant(newcomer, StaffRight.MANAGE_ALERTS)).post("/installation/settings/", form)
    with installation_scope():
        assert AuditEvent.objects.get().actor == "user:newcomer"


def test_right_without_staff_status_opens_nothing(
    organization: Organization, client_of: Callable[[User], Client]
) -> None:
    person = grant(make_member(organization, Role.OWNER, "person"), StaffRight.READ_SECURITY_LOG)
    assert client_of(person).get("/installation/security-log/").status_code == 403


@pytest.mark.parametrize("page", WORKER_PAGES)
def test_worker_pages_require_the_right_to_operate_queues(
    staff: User, client_of: Callable[[User], Client], page: str
) -> None:
    assert client_of(staff).get(page).status_code == client_of(staff).post(page).status_code == 403
    allowed = client_of(grant(staff, StaffRight.OPERATE_QUEUES))
    allowed.raise_request_exception = False  # the pages need the Redis of the settings, which tests do not have
    assert allowed.get(page).status_code != 403


def test_admin_shows_each_right_in_words(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(reverse("admin:auth_group_add")).content.decode()
    assert all(title.replace("'", "&#x27;") in page for title in TITLES.values())


def fields_of(page: str) -> dict[str, str]:
    """The names and values of a form's fields."""
    found = re.findall(r'<input[^>]*name="([^"]+)"[^>]*>', page)
    values = {name: re.search(rf'name="{re.escape(name)}"[^>]*value="([^"]*)"', page) for name in found}
    return {name: match[1] if match else "" for name, match in values.items()}


def allow_changing_users(staff: User) -> User:
    for name in ("change_user", "view_user", "change_group", "add_group", "delete_group"):
        staff.user_permissions.add(Permission.objects.get(codename=name))
    return User.objects.get(pk=staff.pk)


def test_staff_who_can_change_users_cannot_grant_rights_or_change_superusers(
    staff: User, owner: User, client_of: Callable[[User], Client]
) -> None:
    root, client = User.objects.create_superuser("root"), client_of(allow_changing_users(staff))
    change = reverse("admin:tenants_user_change", args=[staff.pk])
    fields = fields_of(client.get(change).content.decode())
    assert not {"is_superuser", "is_staff", "groups", "user_permissions"} & fields.keys()
    client.post(change, {**fields, "is_active": "on", "is_superuser": "on", "is_staff": "on"})
    staff.refresh_from_db()
    assert not staff.is_superuser
    assert client.post(reverse("admin:tenants_user_change", args=[root.pk]), fields).status_code == 403
    assert client.get(reverse("admin:auth_user_password_change", args=[root.pk])).status_code == 403
    assert client.post(reverse("admin:auth_group_add"), {"name": "mine"}).status_code == 403


def test_staff_cannot_take_over_accounts_of_other_staff(
    staff: User, owner: User, client_of: Callable[[User], Client]
) -> None:
    colleague = User.objects.create_user("colleague", is_staff=True)
    client = client_of(allow_changing_users(staff))
    for person, status in ((colleague, 403), (owner, 200), (staff, 200)):
        assert client.get(reverse("admin:auth_user_password_change", args=[person.pk])).status_code == status
        form = {"username": person.username, "email": "mine@example.com"}
        assert client.post(reverse("admin:tenants_user_change", args=[person.pk]), form).status_code == status


def test_adding_members_to_any_organization_requires_a_right(
    staff: User, organization: Organization, client_of: Callable[[User], Client]
) -> None:
    for name in ("add_membership", "add_organization", "change_organization", "view_organization", "view_user"):
        staff.user_permissions.add(Permission.objects.get(codename=name))
    pages = [reverse("admin:tenants_membership_add"), reverse("admin:tenants_organization_add")]
    change = reverse("admin:tenants_organization_change", args=[organization.pk])
    assert [client_of(staff).get(page).status_code for page in pages] == [403, 403]
    assert client_of(staff).post(change, {"name": "Mine"}).status_code == 403
    allowed = client_of(grant(staff, StaffRight.ADD_MEMBERS))
    assert [allowed.get(page).status_code for page in pages] == [200, 200]


def test_change_of_rights_is_in_the_security_log_with_both_values(staff: User, client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert SecurityEvent.objects.get(event=Event.STAFF_CHANGED).details == {"is_superuser": True}
    right = Permission.objects.get(codename=StaffRight.APPROVE_PRICES)
    group_form = {"name": "Prices", "permissions": [right.pk]}
    assert client.post(reverse("admin:auth_group_add"), group_form).status_code == 302
    change = reverse("admin:tenants_user_change", args=[staff.pk])
    fields = {**fields_of(client.get(change).content.decode()), "is_active": "on", "is_staff": "on"}
    fields["groups"] = str(Group.objects.get().pk)
    assert client.post(change, {**fields, "is_superuser": "on"}).status_code == 302
    granted, changed = SecurityEvent.objects.filter(event=Event.STAFF_CHANGED).order_by("sequence")[1:]
    assert (granted.target, granted.actor) == ("Prices", "user:root")
    assert "approve" in str(granted.details["permissions"][1])
    assert changed.details["is_superuser"] == [False, True]
    assert changed.details["groups"] == [[], ["Prices"]]
    assert SecurityEvent.objects.filter(event__startswith="admin.").count() == 2


def test_staff_page_lists_superusers_and_rights_in_words(
    staff: User, owner: User, client_of: Callable[[User], Client]
) -> None:
    User.objects.create_superuser("root")
    User.objects.create_user("former", is_staff=True, is_active=False)
    client = client_of(grant(staff, StaffRight.READ_SECURITY_LOG))
    page = client.get("/installation/staff/").content.decode()
    assert "superuser" in page and TITLES[StaffRight.READ_SECURITY_LOG] in page
    assert TITLES[StaffRight.APPROVE_PRICES] not in page
    assert "former" not in page
