from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.tenants import demo, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Membership, Organization, User

Browser = Callable[[User], Client]
PASSWORD = "a long password"


def log_in(client: Client, name: str, password: str = PASSWORD, **more: str) -> object:
    return client.post(reverse("login"), {"username": name, "password": password, **more})


@pytest.mark.usefixtures("redis_url")
def test_user_logs_in_and_out(owner: User, client: Client) -> None:
    assert log_in(client, "owner").headers["Location"] == reverse("home")  # type: ignore[attr-defined]
    assert client.get(reverse("members")).status_code == 200
    assert client.post(reverse("logout")).headers["Location"] == reverse("login")
    assert client.get(reverse("members")).status_code == 302


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize(("name", "password"), [("owner", "wrong"), ("nobody", PASSWORD), ("", ""), ("\0", "\0")])
def test_wrong_username_and_wrong_password_get_the_same_status(
    owner: User, client: Client, name: str, password: str
) -> None:
    response = log_in(client, name, password)
    assert response.status_code == 422  # type: ignore[attr-defined]
    assert "sessionid" not in client.cookies


@pytest.mark.usefixtures("redis_url")
def test_correct_password_is_refused_after_ten_failures(owner: User, client: Client) -> None:
    for _ in range(10):
        log_in(client, "owner", "wrong")
    response = log_in(client, "owner")
    assert response.status_code == 429  # type: ignore[attr-defined]
    assert "5 minutes" in response.text  # type: ignore[attr-defined]


def test_login_works_without_redis(owner: User, client: Client, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert log_in(client, "owner").status_code == 302  # type: ignore[attr-defined]


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/audit/?text=x", "/audit/?text=x"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("javascript:1", "/"),
        ("1", "/"),
        ("home", "/"),
        ("a\0b", "/"),
        ("%", "/"),
    ],
)
def test_login_redirects_only_to_local_pages(owner: User, client: Client, wanted: str, reached: str) -> None:
    assert log_in(client, "owner", next=wanted).headers["Location"] == reached  # type: ignore[attr-defined]
    again = client.get(reverse("login"), {"next": wanted})
    assert (again.status_code, again.headers["Location"]) == (302, reached)


@pytest.mark.django_db
def test_login_page_offers_demo_users_without_their_password(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    assert "owner@demo" not in client.get(reverse("login")).text
    demo.seed()
    page = client.get(reverse("login")).text
    assert "owner@demo" in page
    assert demo.password() not in page
    settings.HTTPS = True
    assert "owner@demo" not in client.get(reverse("login")).text


def test_logged_in_user_is_redirected_from_the_login_page(owner: User, client_of: Browser) -> None:
    assert client_of(owner).get(reverse("login")).status_code == 302


def test_home_redirects_to_the_queue_or_explains_a_missing_organization(owner: User, client_of: Browser) -> None:
    assert client_of(owner).get(reverse("home")).headers["Location"] == reverse("queue_live")
    nobody = User.objects.create_user("nobody")
    assert "Ask an admin for an invitation" in client_of(nobody).get(reverse("home")).text


def test_administrator_without_an_organization_sees_a_link_to_the_admin(db: None, client_of: Browser) -> None:
    administrator = User.objects.create_superuser("root")
    page = client_of(administrator).get(reverse("home")).text
    assert "add yourself to one" in page
    assert f'href="{reverse("admin:index")}">Open Django admin' in page


def test_organization_switcher_changes_the_organization(
    owner: User, other_organization: Organization, client_of: Browser
) -> None:
    Membership.objects.create(organization=other_organization, user=owner, role=Role.VIEWER)
    client = client_of(owner)
    assert "The members of North Ltd" in client.get(reverse("members")).text
    client.post(reverse("switch_organization"), {"organization": "south"})
    page = client.get(reverse("members")).text
    assert "The members of South Ltd" in page
    assert reverse("keys") not in page
    assert client.get(reverse("keys")).status_code == 403


def test_pages_show_rows_of_the_selected_organization(
    owner: User, organization: Organization, other_organization: Organization, client_of: Browser
) -> None:
    Membership.objects.create(organization=other_organization, user=owner, role=Role.OWNER)
    for each in (organization, other_organization):
        keys.create_key(organization=each, name=f"bot of {each.slug}", role=Role.VIEWER, actor="command:test")
    client = client_of(owner)
    for slug, hidden in (("north", "south"), ("south", "north")):
        client.post(reverse("switch_organization"), {"organization": slug})
        page = client.get(reverse("keys")).text
        assert f"bot of {slug}" in page
        assert f"bot of {hidden}" not in page


@pytest.mark.parametrize("slug", ["south", "nowhere", "", "\0", "north' OR 1=1 --"])
def test_users_cannot_switch_to_a_foreign_organization(
    owner: User, other_organization: Organization, client_of: Browser, slug: str
) -> None:
    assert client_of(owner).post(reverse("switch_organization"), {"organization": slug}).status_code == 404


def test_ended_membership_falls_back_to_another_organization(
    owner: User, other_organization: Organization, client_of: Browser
) -> None:
    second = Membership.objects.create(organization=other_organization, user=owner, role=Role.VIEWER)
    client = client_of(owner)
    client.post(reverse("switch_organization"), {"organization": "south"})
    second.delete()
    assert "The members of North Ltd" in client.get(reverse("members")).text


@pytest.mark.parametrize("name", ["logout", "switch_organization"])
def test_logout_and_switch_require_post_and_a_csrf_token(owner: User, client_of: Browser, name: str) -> None:
    assert client_of(owner).get(reverse(name)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    assert strict.post(reverse(name)).status_code == 403


def new_password(client: Client, old: str, new: str) -> int:
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post(reverse("password"), form).status_code


@pytest.mark.usefixtures("redis_url")
def test_password_change_keeps_this_session_and_ends_others(owner: User, client_of: Browser) -> None:
    here, elsewhere = client_of(owner), client_of(owner)
    assert "Change password" in here.get(reverse("password")).text
    assert new_password(here, PASSWORD, "another long password") == 302
    assert here.get(reverse("members")).status_code == 200
    assert elsewhere.get(reverse("members")).status_code == 302
    assert Client().login(username="owner", password="another long password")
    assert "member.password_changed" in here.get(reverse("audit")).text


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize(("old", "new"), [("wrong", "another long password"), (PASSWORD, "short"), (PASSWORD, "")])
def test_password_is_unchanged_when_the_old_or_new_one_is_invalid(
    owner: User, client_of: Browser, old: str, new: str
) -> None:
    assert new_password(client_of(owner), old, new) == 422
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


@pytest.mark.usefixtures("redis_url")
def test_wrong_old_password_is_limited_to_ten_attempts(owner: User, client_of: Browser) -> None:
    client = client_of(owner)
    for _ in range(10):
        assert new_password(client, "wrong", "another long password") == 422
    assert new_password(client, PASSWORD, "another long password") == 429


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "back"),
    [
        (
            {"HX-Request": "true", "HX-Current-URL": "http://testserver/queue/requests/?status=failed"},
            "/queue/requests/",
        ),
        ({"Accept": "application/json", "Referer": "http://testserver/costs/"}, "/costs/"),
        ({"HX-Request": "true", "HX-Current-URL": "https://evil.example/queue/"}, "/"),
        ({"HX-Request": "true", "HX-Current-URL": "http://testserver//evil.example/"}, "/"),
        ({"HX-Request": "true"}, "/"),
    ],
)
def test_script_without_a_session_gets_a_login_redirect_with_its_page_as_next(
    client: Client, headers: dict[str, str], back: str
) -> None:
    response = client.get(reverse("queue_request_changes"), headers=headers)
    assert response.status_code == 401
    login, _, query = response.headers["HX-Redirect"].partition("?")
    assert login == reverse("login")
    assert urlsplit(parse_qs(query)["next"][0]).path == back


@pytest.mark.django_db
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Current-URL": "http://testserver/settings/keys/"}])
def test_form_sent_after_the_session_ended_is_reported_as_not_saved(client: Client, headers: dict[str, str]) -> None:
    referer = "http://testserver/settings/keys/"
    response = client.post(reverse("key_create"), {"name": "bot"}, headers={"Referer": referer, **headers})
    address = response.headers.get("HX-Redirect") or response.headers["Location"]
    assert address == "/login/?next=/settings/keys/"
    assert "Your last change was not saved" in client.get(address).text


@pytest.mark.django_db
def test_user_without_a_session_is_redirected_to_login(client: Client) -> None:
    response = client.get(reverse("queue_requests"))
    assert (response.status_code, response.headers["Location"]) == (302, "/login/?next=/queue/requests/")


@pytest.mark.parametrize(
    ("page", "lands_on"),
    [
        ("/costs/", "/costs/"),
        ("/queue/requests/", "/queue/requests/"),
        ("/queue/requests/00000000-0000-0000-0000-000000000000/", "/queue/requests/"),
        ("/settings/keys/", "/"),
        ("/nowhere/", "/"),
        ("//evil.example/", "/"),
        ("", "/"),
    ],
)
def test_switching_organizations_stays_on_the_page_if_it_is_allowed_there(
    owner: User, other_organization: Organization, client_of: Browser, page: str, lands_on: str
) -> None:
    Membership.objects.create(user=owner, organization=other_organization, role=Role.VIEWER)
    response = client_of(owner).post(
        reverse("switch_organization"), {"organization": other_organization.slug, "page": page}
    )
    assert response.headers["Location"] == lands_on
