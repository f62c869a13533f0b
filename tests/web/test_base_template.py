import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views import defaults
from pytest_django.fixtures import Settings

from aiinfra.context_processors import NAVIGATION, navigation
from aiinfra.error_responses import handle_500
from aiinfra.tenants.authorization import Principal, Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.staff import STAFF_PREFIX

Browser = Callable[[User], Client]
SANDBOX = "Sandbox: answers are simulated and no provider is called."


def titles(role: Role, path: str = "/") -> list[str]:
    principal = Principal(1, "north", role, "user:x", user_id=1)
    return [link.title for links in navigation(principal, path).values() for link in links]


def test_navigation_lists_the_pages_that_the_role_can_open() -> None:
    finance = ["Finance", "Members", "Fallback routes", "Notifications", "Audit log"]
    spend = ["Costs", "Budgets", "Alerts", "Recommendations", "Prices"]
    operate = ["Queue", "Providers", "Cache", "First call", "API reference"]
    assert titles(Role.VIEWER) == [*operate, *spend, "Members", "Fallback routes"]
    assert titles(Role.FINANCE) == [*operate, *spend, *finance]
    assert titles(Role.OWNER) == [page.title for page in NAVIGATION if not page.permission.startswith(STAFF_PREFIX)]
    assert navigation(None, "/") == {}


def test_only_staff_see_installation_pages_in_the_navigation() -> None:
    principal = Principal(1, "north", Role.VIEWER, "user:x", user_id=1)
    links = navigation(principal, "/", User(is_staff=True, is_superuser=True))["Installation"]
    assert [link.url for link in links] == [
        "/installation/alerts/",
        "/installation/notifications/",
        "/installation/settings/",
        "/installation/staff/",
        "/installation/security-log/",
    ]
    assert "Installation" not in navigation(principal, "/")


def test_the_account_menu_names_the_time_zone(owner: User, client_of: Browser) -> None:
    """The pages show times without it: the zone is the organization's, and UTC for someone without one."""
    Organization.objects.update(time_zone="Asia/Kolkata")
    assert "Times are in Asia/Kolkata" in client_of(owner).get(reverse("keys")).text
    assert "Times are in UTC" in client_of(User.objects.create_user("newcomer")).get(reverse("home")).text


def test_the_current_page_is_marked(owner: User, client_of: Browser) -> None:
    page = client_of(owner).get(reverse("keys")).text
    assert len(re.findall(r'class="nav-link"[^>]*aria-current="page"', page)) == 1


def test_a_page_without_a_url_is_not_in_the_navigation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiinfra.context_processors._address", lambda name: None if name == "audit" else f"/{name}/")
    assert "Audit log" not in titles(Role.OWNER)


@pytest.mark.parametrize("role", list(Role))
def test_the_navigation_hides_forbidden_links(
    role: Role, member_of: Callable[[Role], User], client_of: Browser
) -> None:
    client = client_of(member_of(role))
    links = re.findall(r'class="nav-link"\s+href="([^"]+)"', client.get(reverse("members")).text)
    assert len(links) == len(titles(role))
    for link in links:
        if link != reverse("queue_live"):
            assert client.get(link).status_code == 200


def test_every_page_shows_when_the_sandbox_is_active(
    owner: User, client: Client, client_of: Browser, settings: Settings
) -> None:
    settings.PROVIDER_API_KEYS = dict.fromkeys(settings.PROVIDER_API_KEYS, "")
    assert SANDBOX in client.get(reverse("login")).text
    assert SANDBOX in client_of(owner).get(reverse("members")).text
    assert SANDBOX in client_of(owner).get("/nothing-here/").text
    settings.PROVIDER_API_KEYS = {"openai": "sk-x"}
    assert SANDBOX not in client_of(owner).get(reverse("members")).text


def test_htmx_disables_eval_and_swaps_invalid_forms(owner: User, client_of: Browser) -> None:
    page = client_of(owner).get(reverse("members")).text
    content = re.search(r'name="htmx-config"\s+content=\'([^\']+)\'', page)
    assert content is not None
    config = json.loads(content[1])
    assert (config["allowEval"], config["includeIndicatorStyles"], config["selfRequestsOnly"]) == (False, False, True)
    assert {"code": "422", "swap": True} in config["responseHandling"]


def test_anonymous_users_get_a_404_page_without_navigation(client: Client) -> None:
    response = client.get("/nothing-here/")
    assert response.status_code == 404
    assert "Page not found" in response.text
    assert "sidebar" not in response.text


@pytest.mark.parametrize(("view", "status"), [(handle_500, 500), (defaults.bad_request, 400)])
def test_error_pages_render_without_middleware(view: Callable[..., object], status: int) -> None:
    arguments = [] if status == 500 else [Exception()]
    response = view(RequestFactory().get("/"), *arguments)
    assert response.status_code == status  # type: ignore[attr-defined]
    assert "Go home" in response.text  # type: ignore[attr-defined]


def test_the_500_page_shows_the_request_id() -> None:
    request = RequestFactory().get("/")
    request.request_id = "request-4711"  # type: ignore[attr-defined]
    page = handle_500(request).text
    assert "Request ID:" in page and "request-4711" in page
    assert 'rel="icon"' in page  # without one, browsers ask for /favicon.ico and log a 404


def in_order(template: str) -> list[str]:
    """The buttons of a template's forms, except in dialogs, which start with the safe button."""
    text = re.sub(r'<div class="form-actions">.*?</div>', "", template, flags=re.DOTALL)
    return re.findall(r">\s*(Cancel|Save changes|Create budget|Create codes|Add \w+)\s*</(?:button|a)>", text)


def test_cancel_comes_after_the_save_button_in_page_forms() -> None:
    for path in Path("templates").rglob("*.html"):
        buttons = in_order(path.read_text())
        assert buttons[0] != "Cancel" if len(buttons) > 1 else True, path


def test_breadcrumbs_use_the_shared_template() -> None:
    own = [str(path) for path in Path("templates").rglob("*.html") if 'class="breadcrumb"' in path.read_text()]
    assert own == ["templates/shared/_breadcrumb.html"]
    blocks = "".join(
        "".join(re.findall(r"{% block breadcrumb %}(.*?){% endblock", path.read_text(), re.DOTALL))
        for path in Path("templates").rglob("*.html")
    )
    assert "<a" not in blocks and "shared/_breadcrumb.html" in blocks


def test_templates_are_short() -> None:
    for folder in django_settings.TEMPLATES[0]["DIRS"]:
        for path in folder.rglob("*.html"):
            if path.parts[-2] in {"templates", "tenants", "registration"}:
                assert len(path.read_text().splitlines()) <= 65, path
