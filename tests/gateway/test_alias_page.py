"""`/settings/aliases/` and the page of an alias."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.providers.aliases import ALIASES_MAX, set_alias
from aiinfra.providers.models import ModelAlias
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope

Browser = Callable[[User], Client]
LIST = "/settings/aliases/"
CREATE = f"{LIST}create/"


@pytest.fixture(autouse=True)
def all_providers(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": "k"}


def make(organization: Organization, name: str = "writer", target: str = "gpt-4") -> ModelAlias:
    with organization_scope(organization.pk):
        return set_alias(organization_id=organization.pk, name=name, target=target, actor="command:test")


def targets(organization: Organization) -> dict[str, str]:
    with organization_scope(organization.pk):
        return dict(ModelAlias.objects.values_list("name", "target"))


def test_alias_is_created_changed_and_removed(organization: Organization, admin: User, client_of: Browser) -> None:
    client = client_of(admin)
    created = client.post(CREATE, {"name": "writer", "model": "gpt-4"}, follow=True)
    assert "Alias writer created." in created.text
    assert targets(organization) == {"writer": "gpt-4"}
    with organization_scope(organization.pk):
        page = reverse("alias_change", args=[ModelAlias.objects.get().pk])
    assert client.post(page, {"model": "deepseek/deepseek-chat"}).status_code == 302
    assert targets(organization) == {"writer": "deepseek/deepseek-chat"}
    assert client.post(f"{page}remove/").status_code == 302
    assert targets(organization) == {}
    with organization_scope(organization.pk):
        verbs = list(AuditEvent.objects.order_by("at").values_list("verb", "actor"))
    actor = f"user:{admin.get_username()}"
    assert [verb for verb, _ in verbs][-3:] == ["model_alias.changed"] * 2 + ["model_alias.removed"]
    assert {who for _, who in verbs[-3:]} == {actor}


def test_list_has_the_built_in_aliases_until_they_are_replaced(
    organization: Organization, admin: User, client_of: Browser
) -> None:
    assert client_of(admin).get(LIST).text.count(">built in<") == 3
    make(organization, "fast")
    page = client_of(admin).get(LIST).text
    assert page.count(">built in<") == 2
    assert page.count("fast</td>") == 1


@pytest.mark.parametrize("target", ["no-such-model", "nobody/gpt-4"])
def test_alias_of_an_unavailable_model_is_marked(
    organization: Organization, admin: User, client_of: Browser, target: str
) -> None:
    make(organization, target="gpt-4")
    assert "not available" not in client_of(admin).get(LIST).text
    make(organization, target=target)
    assert "not available" in client_of(admin).get(LIST).text


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("two words", "gpt-4", "Use letters, digits"),
        ("x" * 65, "gpt-4", "at most 64"),
        ("", "gpt-4", "This field is required"),
        ("writer", "no-such-model", "This model has no price"),
        ("writer", "openai/no-such-model", "This model has no price"),
        ("taken", "gpt-4", "This alias already exists"),
    ],
)
def test_invalid_alias_is_refused_with_the_reason(
    organization: Organization, admin: User, client_of: Browser, name: str, model: str, message: str
) -> None:
    make(organization, "taken", "deepseek-chat")
    response = client_of(admin).post(CREATE, {"name": name, "model": model})
    assert (response.status_code, message in response.text) == (422, True)
    assert "data-open" in response.text
    assert targets(organization) == {"taken": "deepseek-chat"}


def test_number_of_aliases_per_organization_is_limited(
    organization: Organization, admin: User, client_of: Browser
) -> None:
    with organization_scope(organization.pk):
        ModelAlias.objects.bulk_create(
            ModelAlias(organization=organization, name=f"a{number}", target="gpt-4") for number in range(ALIASES_MAX)
        )
    response = client_of(admin).post(CREATE, {"name": "writer", "model": "gpt-4"})
    assert response.status_code == 422
    assert f"An organization can have at most {ALIASES_MAX} aliases." in response.text
    assert "writer" not in targets(organization)


def test_concurrent_change_is_not_overwritten(organization: Organization, admin: User, client_of: Browser) -> None:
    client, page = client_of(admin), reverse("alias_change", args=[make(organization).pk])
    version = client.get(page).context["form"].version
    make(organization, target="deepseek-chat")
    response = client.post(page, {"model": "gpt-3.5-turbo", "version": version})
    assert (response.status_code, "deepseek-chat" in response.text) == (422, True)
    assert targets(organization) == {"writer": "deepseek-chat"}


def test_operators_can_see_but_not_change_aliases(
    organization: Organization, operator: User, client_of: Browser
) -> None:
    alias = make(organization)
    client = client_of(operator)
    page = client.get(LIST).text
    assert "writer" in page
    assert "New alias" not in page and "Remove" not in page
    for path in (CREATE, f"{LIST}{alias.pk}/", f"{LIST}{alias.pk}/remove/"):
        assert client.post(path, {"name": "x", "model": "gpt-4"}).status_code == 403
    assert targets(organization) == {"writer": "gpt-4"}


def test_another_organizations_alias_returns_404(
    organization: Organization, stranger: User, client_of: Browser
) -> None:
    alias = make(organization)
    client = client_of(stranger)
    assert "writer" not in client.get(LIST).text
    for path in (f"{LIST}{alias.pk}/", f"{LIST}{alias.pk}/remove/"):
        assert client.post(path, {"model": "deepseek-chat"}).status_code == 404
    assert targets(organization) == {"writer": "gpt-4"}


def test_more_aliases_cost_no_more_queries(organization: Organization, admin: User, client_of: Browser) -> None:
    client, counts = client_of(admin), []
    for number in range(10):
        make(organization, f"a{number}")
        client.get(LIST)
        with CaptureQueriesContext(connection) as queries:
            client.get(LIST)
        counts.append(len(queries))
    assert counts[0] == counts[-1]


def test_model_choices_are_aliases_and_models(organization: Organization, admin: User, client_of: Browser) -> None:
    make(organization)
    choices = client_of(admin).get(reverse("model_choices")).text
    for name in ("writer", "auto", "gpt-4", "deepseek-chat"):
        assert f"<option>{name}</option>" in choices
