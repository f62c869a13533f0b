"""Long prompts and answers on the page of a request, and the file that has all of them."""

import json
from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import User
from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from queue_app.models import AIRequest, RequestContent
from queue_app.ordering.claims import Claim
from queue_app.pages.conversation import Block, Tool, Turn
from queue_app.pages.truncation import CHARACTERS_MAX, TURNS_MAX, Truncation
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, answer

LONG = "x" * (CHARACTERS_MAX + 1)
PAGE_BYTES_MAX = 4 * CHARACTERS_MAX


def page_of(client: Client, request: AIRequest) -> str:
    return client.get(reverse("queue_request", args=[request.id])).text


def test_what_fits_is_not_cut() -> None:
    turns = [Turn("user", [Block("Hi."), Block("", "Calls add", is_code=True)]), Turn("assistant", [])]
    part = Truncation()
    assert (part.turns(turns), part.is_cut) == (turns, False)


def test_texts_share_the_page() -> None:
    part = Truncation()
    blocks = [Block("a" * (CHARACTERS_MAX - 1)), Block("bcd"), Block("e")]
    assert [block.text for block in part.blocks(blocks)] == [blocks[0].text, "b"]
    assert (part.shown, part.total, part.is_cut) == (CHARACTERS_MAX, CHARACTERS_MAX + 3, True)
    assert part.tools([Tool("add", "", "{}")]) == []
    assert [tool.name for tool in Truncation().tools([Tool("add", LONG, "{}"), Tool("sub", "", "{}")])] == ["add"]


def test_many_short_turns_are_cut_too() -> None:
    part = Truncation()
    assert len(part.turns([Turn("user", [Block("a")])] * (TURNS_MAX + 5))) == TURNS_MAX
    assert (part.shown, part.total) == (TURNS_MAX, TURNS_MAX + 5)


def test_a_long_request_shows_its_beginning_and_all_of_it_is_a_file(
    claimed: Callable[..., Claim], provider: ScriptedProvider, browser: Client
) -> None:
    provider.script = [answer(LONG)]
    messages = [{"role": "user", "content": LONG * 9}, {"role": "user", "content": "The end."}]
    tools = [{"type": "function", "function": {"name": "add", "description": LONG}}]
    claim = claimed(messages=messages, parameters={"tools": tools})
    process(claim)
    page = page_of(browser, claim.request)
    assert f"The first 100,000 of {9 * len(LONG) + len('The end.'):,} characters of the prompt." in page
    assert "The first 100,000 of 100,001 characters of the answer." in page
    assert (page.count("The first 100,000"), page.count('data-copy-from="#answer"')) == (3, 0)
    assert len(page) < PAGE_BYTES_MAX

    response = browser.get(url := reverse("queue_request_content", args=[claim.request.id]))
    assert url in page
    assert response["Content-Disposition"] == f'attachment; filename="request_{claim.request.id.hex}.json"'
    content = json.loads(response.content)
    assert (content["messages"], content["parameters"]["tools"]) == (messages, tools)
    assert content["response"]["content"] == LONG
    read = SecurityEvent.objects.filter(event=Event.CONTENT_READ, target=f"request {claim.request.id}")
    assert read.count() == 2


def test_a_request_without_content_has_no_file(
    submit: Callable[..., AIRequest], browser: Client, viewer: User, client_of: Callable[[User], Client]
) -> None:
    request = submit()
    url = reverse("queue_request_content", args=[request.id])
    assert browser.get(url).status_code == 200
    assert client_of(viewer).get(url).status_code == 403
    assert url not in page_of(client_of(viewer), request)
    with system_scope():
        RequestContent.objects.all().delete()
    assert browser.get(url).status_code == 404
    assert url not in page_of(browser, request)
