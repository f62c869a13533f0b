"""`Idempotency-Key` at every endpoint that sends calls: repeats get the first answer and are billed once."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from aiinfra.gateway import chat
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants.models import OnceAnswer
from aiinfra.tenants.scope import system_scope
from cost_app.models import Attempt, LedgerEntry
from queue_app.models import AIRequest
from tests.api.support import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES_DOOR, RESPONSES, Caller, refused, rows
from tests.gateway.test_chat_direct import held_attempt
from tests.gateway.test_chat_waits import start_in_thread
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url", "enough_room")]
KEY = {"Idempotency-Key": "order-4711"}
STREAMED = {"stream": True}


@dataclass(frozen=True)
class Answer:
    """The response that a client received."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Door:
    """An endpoint and its body."""

    path: str
    body: dict[str, Any]

    def ask(self, program: Caller, text: str = "How do I plan a garden?", **headers: str) -> Answer:
        """Send the request and read the whole response."""
        named = {"model": "text-embedding-3-small" if self.path == EMBEDDINGS else "deepseek-chat"}
        prompt = {"input": text} if self.path in {EMBEDDINGS, RESPONSES} else {"messages": _turns(text)}
        response = program.post(self.path, {**named, **prompt, **self.body}, **{**KEY, **headers})
        return Answer(response.status_code, dict(response.headers), _text_of(response))


DOORS = {
    "chat": Door(CHAT, {"wait": True}),
    "completions": Door(COMPLETIONS, {}),
    "completions streamed": Door(COMPLETIONS, STREAMED),
    "messages": Door(MESSAGES_DOOR, {"max_tokens": 200}),
    "messages streamed": Door(MESSAGES_DOOR, {"max_tokens": 200, **STREAMED}),
    "responses": Door(RESPONSES, {}),
    "responses streamed": Door(RESPONSES, STREAMED),
    "embeddings": Door(EMBEDDINGS, {}),
}


def _turns(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _text_of(response: Any) -> str:
    return b"".join(response).decode() if response.streaming else response.content.decode()


def content_of(answer: Answer) -> Any:
    """The content of an answer: a stream's ID and text, or the whole body."""
    if not answer.headers["Content-Type"].startswith("text/event-stream"):
        return json.loads(answer.body)
    events = [json.loads(line[6:]) for line in answer.body.splitlines() if line.startswith("data: {")]
    first = events[0].get("message") or events[0].get("response") or events[0]
    return first["id"], "".join(map(_piece, events))


def _piece(event: dict[str, Any]) -> str:
    choices = event.get("choices")
    if choices:
        return choices[0]["delta"].get("content") or ""
    delta = event.get("delta", "")
    return delta if isinstance(delta, str) else delta.get("text", "")


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


@pytest.fixture
def enough_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(10))


def bills(sandbox: SandboxClient) -> int:
    """The number of this test's calls that the provider billed."""
    with system_scope():
        return sum(len(sandbox.bills(attempt.id)) for attempt in Attempt.objects.all())


def assert_billed(sandbox: SandboxClient, times: int) -> None:
    with system_scope():
        assert (LedgerEntry.objects.filter(nano__gt=0).count(), bills(sandbox)) == (times, times)


def test_repeat_returns_the_same_answer_and_is_billed_once(program: Caller, sandbox: SandboxClient, door: Door) -> None:
    first = door.ask(program)
    before = rows()
    second = door.ask(program)
    assert (first.status, second.status) == (200, 200), first.body
    assert content_of(first) == content_of(second)
    assert rows() == before
    assert_billed(sandbox, 1)


def test_repeat_during_the_first_call_gets_its_answer(program: Caller, sandbox: SandboxClient, door: Door) -> None:
    """The repeat waits, or gets a 409 with `Retry-After`."""
    sandbox.behave(faults=[{"kind": "hold"}])
    first = start_in_thread(lambda: door.ask(program))  # type: ignore[arg-type, return-value]
    attempt = held_attempt(sandbox)
    if door.path == EMBEDDINGS:
        again = door.ask(program)
        assert (again.status, again.headers["Retry-After"]) == (409, "1")
        assert "x-should-retry" not in again.headers
        second: Callable[[], Any] = lambda: door.ask(program)  # noqa: E731 - like the other branch
    else:
        second = start_in_thread(lambda: door.ask(program))  # type: ignore[arg-type, return-value]
        wait_until(lambda: chat.waiting_room._slots.taken() == 2, "the second client to wait")
    sandbox.post(f"/sandbox/calls/{attempt.id}/release", {}).raise_for_status()
    assert content_of(first()) == content_of(second())  # type: ignore[arg-type]
    assert_billed(sandbox, 1)


def test_reusing_key_with_different_body_returns_409(program: Caller, sandbox: SandboxClient, door: Door) -> None:
    assert door.ask(program).status == 200
    before = rows()
    other = door.ask(program, "How do I sail?")
    assert other.status == 409
    if door.path != CHAT:
        assert other.headers["x-should-retry"] == "false"
    assert rows() == before
    assert_billed(sandbox, 1)


@pytest.mark.parametrize(
    "header",
    [{"x-aiinfra-tags": "b"}, {"x-aiinfra-timeout": "5"}, {"x-aiinfra-priority": "low"}, {"x-aiinfra-cache": "bypass"}],
    ids=str,
)
@pytest.mark.parametrize("door", [name for name in DOORS if name != "chat"], indirect=True)
def test_reusing_key_with_different_headers_returns_409(
    program: Caller, sandbox: SandboxClient, door: Door, header: dict[str, str]
) -> None:
    assert door.ask(program).status == 200
    assert door.ask(program, **header).status == 409
    assert_billed(sandbox, 1)


def test_key_can_be_reused_after_25_hours(program: Caller, sandbox: SandboxClient, door: Door) -> None:
    first = door.ask(program)
    with system_scope():
        for model in (AIRequest, OnceAnswer):
            model.objects.update(created_at=F("created_at") - timedelta(hours=25))
    second = door.ask(program, "How do I sail?")
    assert (second.status, second.body != first.body) == (200, True)
    assert_billed(sandbox, 2)


def test_refused_call_does_not_use_its_key(program: Caller, sandbox: SandboxClient, door: Door) -> None:
    refused(program.post(door.path, {**door.body, "model": ""}, **KEY), 400)
    assert door.ask(program).status == 200
    assert_billed(sandbox, 1)


def test_keys_of_other_organizations_are_independent(
    program: Caller, other_program: Caller, sandbox: SandboxClient, door: Door
) -> None:
    theirs = door.ask(other_program)
    answers = [door.ask(program, "How do I sail?"), door.ask(program, **{"Idempotency-Key": "another"})]
    assert [answer.status for answer in answers] == [200, 200]
    assert theirs.body not in [answer.body for answer in answers] or door.path == EMBEDDINGS
    assert_billed(sandbox, 3)
