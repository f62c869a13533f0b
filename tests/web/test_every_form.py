"""Every form can be saved as rendered: each form of each page is posted unchanged, as a browser would send it.

The test finds pages by following links from the navigation, with a small demo history. Each post is rolled back.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
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
from tests.support.html_forms import Form, forms_of, links_of
from tests.support.rows import make_row

NOW = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)
STARTS = ["/", "/settings/organization/", "/settings/password/", "/admin/", "/installation/alerts/rules/"]
NOT_SENT = {
    "logout": "the test needs the session",
    "cache_clear": "asks for the tags or the model to clear",
}
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


def pages_of(client: Client) -> Iterator[tuple[str, str]]:
    """(URL, HTML) of every page that can be reached by links."""
    todo, seen = list(STARTS), set[str]()
    found = set(todo)
    while todo:
        address = todo.pop(0)
        response = client.get(address, follow=True)
        if response.status_code != 200 or "text/html" not in response.headers.get("Content-Type", ""):
            continue
        page = response.request["PATH_INFO"] + (f"?{urlsplit(address).query}" if "?" in address else "")
        yield page, response.text
        for link in links_of(response.text):
            target = urljoin(page, link).partition("#")[0]
            if target not in found and (name := name_of(target)) and name not in seen:
                seen.add(name)
                found.add(target)
                todo.append(target)


def name_of(address: str) -> str:
    """The URL's name in the URLconf; empty for external URLs."""
    parts = urlsplit(address)
    try:
        return "" if parts.netloc or NOT_OURS in parts.path.replace("-", "_") else resolve(parts.path).view_name
    except Resolver404:
        return ""


def submitted(client: Client, page: str, form: Form) -> Iterator[tuple[str, int, str]]:
    """(name, status, first error) for each submit button of the form."""
    for button in form.buttons:
        target = urljoin(page, form.target(button))
        if name_of(target) in NOT_SENT:
            continue
        with transaction.atomic():
            answer = client.post(target, form.data(button), HTTP_REFERER=f"http://testserver{page}")
            transaction.set_rollback(True)
        text = answer.content.decode(errors="replace") if answer.status_code >= 400 or "/admin/" in target else ""
        errors = re.findall(r'errorlist[^>]*>(.*?)</ul>|role="alert">(.*?)</div>', text, re.DOTALL)
        yield name_of(target), answer.status_code, str(errors[:2])


@pytest.mark.parametrize("role", ["owner", Role.FINANCE, Role.OPERATOR])
def test_every_form_of_every_page_saves_what_it_has_rendered(
    role: str, populated_organization: None, organization: Organization, owner: User, member_of: Callable[[Role], User]
) -> None:
    client = Client()
    if role == "owner":
        User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    client.force_login(User.objects.get(pk=owner.pk) if role == "owner" else member_of(Role(role)))
    problems, names = [], set[str]()
    for page, html in list(pages_of(client)):
        for form in forms_of(html, page):
            problems += [f"{page}: a browser does not send this: {problem}" for problem in form.problems]
            if form.method != "post" or form.missing or not form.buttons:
                continue
            for name, status, errors in submitted(client, page, form):
                names.add(name)
                if status >= 400 or (errors != "[]" and "/admin/" in page):
                    problems.append(f"{page} -> {name}: {status} {errors}")
    assert not problems, "\n".join(sorted(set(problems)))
    if role == "owner":
        assert names >= EDITS, EDITS - names
