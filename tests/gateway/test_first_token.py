"""The time to first token of streamed answers, as recorded in metrics."""

from collections.abc import Callable

import pytest

from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.metrics import recorded
from aiinfra.providers.adapters import streaming
from aiinfra.tenants.models import Organization
from tests.api.support import COMPLETIONS, MESSAGES, Caller
from tests.gateway.stepwise import Stepwise
from tests.gateway.streamed import ask, events_of
from tests.providers.conftest import SandboxClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


@pytest.fixture
def first_tokens(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, str]]:
    """The calls whose time to first token was recorded."""
    calls: list[tuple[int, str, str]] = []
    monkeypatch.setattr(recorded, "first_token", lambda call, seconds: calls.append(call) if seconds >= 0 else None)
    return calls


def test_time_to_first_token_is_recorded_once_per_streamed_answer(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, first_tokens: list[object], organization: Organization
) -> None:
    stepwise.send_text("Plan ")
    stepwise.send_text("it.")
    stepwise.finish()
    assert list(events_of(ask(program)))
    assert first_tokens == [(organization.pk, "local", "stepwise")]


def test_event_without_text_is_not_the_first_token(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []
    replace = streaming.replace

    def recording_replace(answer: object, first_token_at: float | None) -> object:
        seen.append(first_token_at)
        return replace(answer, first_token_at=first_token_at)  # type: ignore[type-var]

    monkeypatch.setattr(streaming, "replace", recording_replace)
    stepwise.send(id="p1", choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}])
    stepwise.finish("length")
    assert list(events_of(ask(program)))
    assert seen == [None]


def test_non_streamed_call_records_none(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, first_tokens: list[object], worker: Callable[[], None]
) -> None:
    worker()
    body = {"model": "deepseek/deepseek-chat", "messages": MESSAGES}
    assert program.post(COMPLETIONS, body).status_code == 200
    assert first_tokens == []
