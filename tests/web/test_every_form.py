"""Every form can be saved as rendered: each form of each page is posted unchanged, as a browser would send it.

The test finds pages by following links from the navigation, with a small demo history. Each post is rolled back.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.demo.history import make_history
from aiinfra.notifications.models import Channel
from aiinfra.providers.aliases import set_alias
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Invitation, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Alert, Budget, CostPolicy, PriceProposal
from cost_app.prices import lookup
from cost_app.recommendations.compute import compute_recommendations
from tests.support.html_forms import Form, Page, page_of
from tests.support.rows import make_row

NOW = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)
STARTS = ["/", "/settings/organization/", "/settings/password/", "/admin/", "/installation/alerts/rules/"]
NOT_SENT = {
    "logout": "the test needs the session",
    "cache_clear": "asks for the tags or the model to clear",
}
NEW_EACH_TIME = {"csrfmiddlewaretoken", "form_key"}
"""Hidden fields with a random value for each request."""
NOT_OURS = "django_rq"
"""Part of the URLs of another package's pages in the admin."""
EDITS = {
    "alias_change",
    "organization",
    "cost_settings",
    "cache_settings",
    "alert_rules",
    "installation_settings",
    "budget_edit",
    "member_role",
}


@pytest.fixture
def populated_organization(
    owner: User, organization: Organization, redis_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An organization with a history, unusual settings, and a row for every kind of form."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    settings.PROVIDER_API_KEYS = dict.fromkeys(settings.PROVIDER_API_KEYS, "")
    lookup.clear_price_cache()
    lookup.add_shipped_prices()
    organization.is_demo = True
    organization.save()
    with organization_scope(organization.pk):
        make_history(organization, days=20, requests=150, seed=7)
        compute_recommendations(organization.pk)
        create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:x")
        set_alias(organization_id=organization.pk, name="writer", target="gpt-4", actor="command:x")
        Channel.objects.create(organization=organization, name="Ops", kind="email", target="a@example.com")
        Budget.objects.update(limit_nano=12_345_678_901, rollover_unused=True, rollover_cap_nano=1)
        gone = [{"provider": "openai", "model": "no-longer-priced", "classes": ["simple"]}]
        odd = {"spike_floor_nano": 1_000_000_001, "allowed_models": gone}
        CostPolicy.objects.update_or_create(organization=organization, defaults=odd)
        Alert.objects.create(organization=organization, kind="cost_spike", severity="high", cause="x", message="Dear.")
        Invitation.objects.create(
            organization=organization,
            email="x@example.com",
            role="viewer",
            token_digest="d",
            invited_by=owner,
            expires_at=NOW,
        )
        make_row(PriceProposal, organization)


def pages_of(client: Client, refused: set[str] | None = None) -> Iterator[Page]:
    """Every page that can be reached by links. Adds the links that are refused, and the pages that show them."""
    todo, seen = [("", start) for start in STARTS], set[str]()
    found = set(STARTS)
    while todo:
        shown_on, address = todo.pop(0)
        response = client.get(address, follow=True)
        if response.status_code == 403 and shown_on and refused is not None:
            refused.add(f"{shown_on} links to {address}")
        if response.status_code != 200 or "text/html" not in response.headers.get("Content-Type", ""):
            continue
        url = response.request["PATH_INFO"] + (f"?{urlsplit(address).query}" if "?" in address else "")
        page = page_of(response.text, url)
        yield page
        for link in page.links:
            target = urljoin(url, link).partition("#")[0]
            if target not in found and (name := name_of(target)) and name not in seen:
                seen.add(name)
                found.add(target)
                todo.append((url, target))


@cache
def name_of(address: str) -> str:
    """The URL's name in the URLconf; empty for external URLs."""
    parts = urlsplit(address)
    try:
        return "" if parts.netloc or NOT_OURS in parts.path.replace("-", "_") else resolve(parts.path).view_name
    except Resolver404:
        return ""


def posts_of(pages: Iterable[Page]) -> Iterator[tuple[Page, Form, dict[str, str]]]:
    """(page, form, submit button) of each different POST; the form that logs out is on every page."""
    sent = set[tuple[str, str]]()
    for page in pages:
        for form in page.forms:
            for button in form.buttons if form.method == "post" else []:
                target = urljoin(page.url, form.target(button))
                data = {name: values for name, values in form.data(button).items() if name not in NEW_EACH_TIME}
                if name_of(target) not in NOT_SENT and (post := (target, str(data))) not in sent:
                    sent.add(post)
                    yield page, form, button


def submitted(client: Client, page: Page, form: Form, button: dict[str, str]) -> tuple[str, int, str]:
    """(name, status, first error) for a submit button of the form."""
    target = urljoin(page.url, form.target(button))
    with transaction.atomic():
        answer = client.post(target, form.data(button), HTTP_REFERER=f"http://testserver{page.url}")
        transaction.set_rollback(True)
    text = answer.content.decode(errors="replace") if answer.status_code >= 400 or "/admin/" in target else ""
    errors = re.findall(r'errorlist[^>]*>(.*?)</ul>|role="alert">(.*?)</div>', text, re.DOTALL)
    return name_of(target), answer.status_code, str(errors[:2])


@pytest.mark.parametrize("role", ["owner", Role.FINANCE, Role.OPERATOR])
def test_every_form_of_every_page_saves_what_it_has_rendered(
    role: str, populated_organization: None, organization: Organization, owner: User, member_of: Callable[[Role], User]
) -> None:
    client = Client()
    if role == "owner":
        User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    client.force_login(User.objects.get(pk=owner.pk) if role == "owner" else member_of(Role(role)))
    names = set[str]()
    pages = list(pages_of(client))
    problems = [
        f"{page.url}: a browser does not send this: {problem}"
        for page in pages
        for form in page.forms
        for problem in form.problems
    ]
    for page, form, button in posts_of(pages):
        if form.missing:
            continue
        name, status, errors = submitted(client, page, form, button)
        names.add(name)
        if status >= 400 or (errors != "[]" and "/admin/" in page.url):
            problems.append(f"{page.url} -> {name}: {status} {errors}")
    assert not problems, "\n".join(sorted(set(problems)))
    if role == "owner":
        assert names >= EDITS, EDITS - names
