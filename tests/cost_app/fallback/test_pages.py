"""`/settings/routes/`: the list of fallback chains and the page of one chain."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.providers.models import FallbackRoute
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.fallback.chains import Chain, effective_chain
from cost_app.fallback.manage import set_chain, use_defaults
from cost_app.models import ModelPrice

Browser = Callable[[User], Client]
GPT4 = ("openai", "gpt-4")
LIST = "/settings/routes/"
PAGE = "/settings/routes/models/openai/gpt-4/"
CHANGE = "/settings/routes/change/openai/gpt-4/"


@pytest.fixture(autouse=True)
def all_providers(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": "k"}


@pytest.fixture
def chain(organization: Organization) -> Callable[[], Chain]:
    def find() -> Chain:
        with organization_scope(organization.pk):
            return effective_chain(organization.pk, *GPT4)

    return find


@pytest.fixture
def browser(client_of: Browser, operator: User) -> Client:
    return client_of(operator)


def save(organization: Organization, *steps: tuple[str, str], asked: tuple[str, str] = GPT4) -> None:
    with organization_scope(organization.pk):
        set_chain(organization_id=organization.pk, asked=asked, steps=steps, actor="command:test")


def test_the_list_marks_default_custom_and_missing_chains(browser: Client, organization: Organization) -> None:
    save(organization, ("deepseek", "deepseek-chat"))
    save(organization, asked=("openai", "gpt-3.5-turbo"))
    page = browser.get(LIST).text
    assert page.count('badge-accent">custom') == 1
    assert 'badge">default' in page
    assert page.count('badge-warn">off') == 1
    assert "Nothing: the request fails" in page


def test_unavailable_step_is_marked_on_both_pages(
    browser: Client, organization: Organization, settings: Settings
) -> None:
    save(organization, ("anthropic", "claude-haiku-4-5"), ("deepseek", "deepseek-chat"))
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": ""}
    assert browser.get(LIST).text.count("not available") == 1
    assert "the provider anthropic is not configured" in browser.get(PAGE).text


def test_steps_are_added_moved_and_removed(browser: Client, chain: Callable[[], Chain]) -> None:
    def send(action: str, step: str) -> None:
        response = browser.post(CHANGE, {"action": action, "step": step, "seen": chain().version})
        assert response["Location"] == PAGE

    assert [step.model for step in chain().steps] == ["claude-haiku-4-5", "deepseek-v4-pro"]
    send("add", "openai/gpt-3.5-turbo")
    send("up", "openai/gpt-3.5-turbo")
    assert [step.model for step in chain().steps] == ["claude-haiku-4-5", "gpt-3.5-turbo", "deepseek-v4-pro"]
    send("down", "anthropic/claude-haiku-4-5")
    send("remove", "deepseek/deepseek-v4-pro")
    assert [step.model for step in chain().steps] == ["gpt-3.5-turbo", "claude-haiku-4-5"]
    send("off", "")
    assert chain().source == "off"
    send("default", "")
    assert chain().source == "default"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"action": "add", "step": "openai/gpt-4"}, "can&#x27;t fall back to itself"),
        ({"action": "add", "step": "openai/gpt-99"}, "is not in the price book"),
        ({"action": "add", "step": ""}, "is not configured"),
        ({"action": "add", "step": "openai/gpt-3.5-turbo", "seen": "custom x/y"}, "was changed in the meantime"),
        ({"action": "remove", "step": "openai/gpt-3.5-turbo"}, "no longer in the chain"),
        ({"action": "explode"}, "Select an action"),
        ({"action": "up", "step": "x" * 300}, "Select an action"),
    ],
)
def test_an_invalid_change_is_refused_with_a_message(
    browser: Client, chain: Callable[[], Chain], sent: dict[str, str], text: str
) -> None:
    response = browser.post(CHANGE, {"seen": chain().version, **sent})
    assert response.status_code == 422
    assert text in response.text
    assert chain().source == "default"


def test_a_double_click_adds_one_step(browser: Client, chain: Callable[[], Chain]) -> None:
    form = {"action": "add", "step": "openai/gpt-3.5-turbo", "seen": chain().version}
    assert [browser.post(CHANGE, form).status_code for _ in range(2)] == [302, 422]
    assert len(chain().steps) == 3


def test_defaults_can_be_turned_off_for_the_organization(browser: Client, chain: Callable[[], Chain]) -> None:
    browser.post(f"{LIST}defaults/", {"enabled": "off"})
    assert chain().source == "off"
    assert "have no fallback" in browser.get(LIST).text
    browser.post(f"{LIST}defaults/", {"enabled": "on"})
    assert chain().source == "default"


def test_any_priced_model_can_be_selected(browser: Client) -> None:
    ModelPrice.objects.create(
        provider="openai", model="ft:gpt/custom", source="x", input=1, cache_read=1, cache_write=1, output=1
    )
    response = browser.get(LIST, {"model": "openai/ft:gpt/custom"})
    assert response["Location"] == reverse("route", args=["openai/ft:gpt/custom"])
    assert browser.get(response["Location"]).status_code == 200
    assert browser.get(LIST, {"model": "openai/gpt-99"}).status_code == 422


def test_an_unknown_model_is_not_found(browser: Client) -> None:
    assert browser.get("/settings/routes/models/openai/gpt-99/").status_code == 404
    assert browser.get("/settings/routes/models/nonsense/").status_code == 404
    assert browser.get("/settings/routes/models/openai/%00/").status_code == 404
    assert browser.post("/settings/routes/change/openai/%00/", {"action": "off", "seen": "default"}).status_code == 404


def test_viewers_can_read_but_not_change_chains(client_of: Browser, viewer: User, chain: Callable[[], Chain]) -> None:
    client = client_of(viewer)
    for page in (LIST, PAGE):
        response = client.get(page)
        assert response.status_code == 200
        assert "Turn off" not in response.text
        assert 'name="action"' not in response.text
    assert client.post(CHANGE, {"action": "off", "seen": chain().version}).status_code == 403
    assert client.post(f"{LIST}defaults/", {"enabled": "off"}).status_code == 403


def test_pages_require_login_and_writes_require_post(client: Client, browser: Client) -> None:
    assert client.get(LIST).status_code == 302
    assert client.get(PAGE).status_code == 302
    assert browser.get(CHANGE).status_code == 405
    assert browser.get(f"{LIST}defaults/").status_code == 405
    assert browser.post(LIST).status_code == 405


def test_other_organizations_cannot_see_or_change_the_chain(
    client_of: Browser, stranger: User, organization: Organization, chain: Callable[[], Chain]
) -> None:
    save(organization, ("deepseek", "deepseek-chat"))
    client = client_of(stranger)
    assert 'badge-accent">custom' not in client.get(LIST).text
    client.post(CHANGE, {"action": "default", "seen": "default"})
    assert chain().source == "custom"


def test_list_without_available_models_says_so(browser: Client) -> None:
    ModelPrice.objects.update(effective_to=timezone.now())
    assert "No configured provider has a model with a price." in browser.get(LIST).text


def test_list_runs_the_same_number_of_queries_with_more_chains(browser: Client, organization: Organization) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert browser.get(LIST).status_code == 200
        return len(found)

    save(organization, ("deepseek", "deepseek-chat"))
    browser.get(LIST)
    before = queries()
    for number in range(9):
        FallbackRoute(
            organization=organization, provider="openai", model=f"m{number}", position=1,
            to_provider="deepseek", to_model="deepseek-chat",
        ).save()  # fmt: skip
    assert queries() == before


def test_step_form_offers_only_models_that_can_be_added(browser: Client, organization: Organization) -> None:
    save(organization, ("deepseek", "deepseek-chat"))
    page = browser.get(PAGE).text
    assert 'value="openai/gpt-3.5-turbo"' in page
    assert '<option value="openai/gpt-4"' not in page
    assert "embedding" not in page


def test_chains_can_be_customized_without_defaults(
    browser: Client, organization: Organization, chain: Callable[[], Chain]
) -> None:
    with organization_scope(organization.pk):
        use_defaults(organization_id=organization.pk, enabled=False, actor="command:test")
    form = {"action": "add", "step": "openai/gpt-3.5-turbo", "seen": chain().version}
    assert browser.post(CHANGE, form).status_code == 302
    assert [step.name for step in chain().steps] == ["openai/gpt-3.5-turbo"]
