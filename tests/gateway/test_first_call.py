"""`/first-call/`: code snippets with a new key, and the first call made with it."""

import json
import shlex
import tomllib
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from aiinfra.gateway.pages.snippets import MODEL, NO_KEY, snippets
from aiinfra.tenants import key_authentication
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest
from tests.queue_app.conftest import queue, submit
from tests.tenants.made_keys import make

__all__ = ["queue", "submit"]

Browser = Callable[[User], Client]
Submit = Callable[..., AIRequest]
PAGE = "/first-call/"
WAIT_PAGE = f"{PAGE}waiting/"
ADDRESS = "https://ai.example.com"

pytestmark = pytest.mark.usefixtures("queue")


def text_of(name: str, key: str = "aik_x") -> str:
    return next(each.text for each in snippets(ADDRESS, key) if each.name == name)


@pytest.mark.parametrize("name", ["python", "anthropic"])
def test_python_snippets_compile(name: str) -> None:
    compile(text_of(name), name, "exec")
    assert "aik_x" in text_of(name)


def test_curl_snippet_sends_json_to_our_address() -> None:
    words = shlex.split(text_of("curl").replace("\\\n", " "))
    assert f"{ADDRESS}/v1/chat/completions" in words
    assert "Authorization: Bearer aik_x" in words
    assert json.loads(words[words.index("-d") + 1])["messages"][0]["content"]


def test_codex_settings_are_toml_with_our_address() -> None:
    settings = tomllib.loads(text_of("codex"))
    assert settings["model"] == MODEL
    assert settings["model_providers"][settings["model_provider"]]["base_url"] == f"{ADDRESS}/v1"


def test_every_snippet_has_our_address() -> None:
    assert all(ADDRESS in each.text for each in snippets(ADDRESS))


def test_new_key_is_shown_once_and_can_only_send_calls(
    organization: Organization, admin: User, client_of: Browser
) -> None:
    client = client_of(admin)
    assert NO_KEY in client.get(PAGE).text
    page = client.post(f"{PAGE}key/", follow=True)
    with organization_scope(organization.pk):
        key = ApiKey.objects.get()
    text = page.context["text"]
    assert page.text.count(text) >= len(snippets(ADDRESS))
    principal = key_authentication.authenticate(f"Bearer {text}")
    assert principal is not None
    assert principal.scopes == {"chat:write", "queue:read", "queue:write"}
    assert page.redirect_chain == [(f"{PAGE}?key={key.key_id}", 302)]
    assert text not in client.get(PAGE).text


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_members_without_permission_see_whom_to_ask_for_a_key(
    role: str, request: pytest.FixtureRequest, client_of: Browser
) -> None:
    client = client_of(request.getfixturevalue(role))
    page = client.get(PAGE).text
    assert "Ask an admin to create one." in page
    assert "Create a key" not in page
    assert client.post(f"{PAGE}key/").status_code == 403


def test_page_waits_for_the_first_call_of_its_key(
    organization: Organization, viewer: User, client_of: Browser, submit: Submit
) -> None:
    client = client_of(viewer)
    key, other = make(organization)[0], make(organization)[0]
    address = f"{WAIT_PAGE}?key={key.key_id}"
    submit(api_key_id=other.pk)
    submit()
    page = client.get(address).text
    assert "Waiting for your first call" in page
    assert "data-live" in page
    first, _second = submit(api_key_id=key.pk), submit(api_key_id=key.pk)
    page = client.get(address).text
    assert f"/queue/requests/{first.pk}/" in page
    assert "data-live" not in page


def test_page_without_a_key_waits_for_any_call_since_it_was_opened(
    organization: Organization, viewer: User, client_of: Browser, submit: Submit
) -> None:
    client, key = client_of(viewer), make(organization)[0]
    before = submit(api_key_id=key.pk)
    with organization_scope(organization.pk):
        AIRequest.objects.filter(pk=before.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    since = client.get(PAGE).context["since"]
    submit()
    assert "Waiting" in client.get(f"{WAIT_PAGE}?since={since}").text
    call = submit(api_key_id=key.pk)
    assert f"/queue/requests/{call.pk}/" in client.get(f"{WAIT_PAGE}?since={since}").text


@pytest.mark.parametrize("query", ["since=x", "since=99999999999999", "since=-1", "key=%00", "key=' or 1", "since=0"])
def test_invalid_queries_show_the_waiting_page(viewer: User, client_of: Browser, query: str) -> None:
    response = client_of(viewer).get(f"{WAIT_PAGE}?{query}")
    assert (response.status_code, "Waiting" in response.text) == (200, True)


def test_calls_older_than_a_day_are_ignored(
    organization: Organization, viewer: User, client_of: Browser, submit: Submit
) -> None:
    old = submit(api_key_id=make(organization)[0].pk)
    with organization_scope(organization.pk):
        AIRequest.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    assert "Waiting" in client_of(viewer).get(f"{WAIT_PAGE}?since=0").text


def test_calls_of_another_organization_are_ignored(
    organization: Organization, stranger: User, client_of: Browser, submit: Submit
) -> None:
    key = make(organization)[0]
    submit(api_key_id=key.pk)
    for query in (f"key={key.key_id}", "since=0"):
        assert "Waiting" in client_of(stranger).get(f"{WAIT_PAGE}?{query}").text
