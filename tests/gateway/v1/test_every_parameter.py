"""Every parameter of the official SDKs passes the endpoints unchanged.

`tests/providers/dialects` checks what the adapters do with it, including the translation for other providers.
"""

from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from aiinfra.api import parse
from aiinfra.gateway.v1 import anthropic_messages, openai_chat
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.prices.lookup import add_shipped_prices
from tests.gateway.v1.bodies import call_of
from tests.providers.dialects.test_passing_on import cases

QUESTION = [{"role": "user", "content": "Hi."}]
CHAT = cases(CompletionCreateParamsNonStreaming)
MESSAGES = cases(MessageCreateParamsNonStreaming)
SAMPLES_MIN = 20
"""Each SDK has more parameters; with fewer, the samples would be incomplete."""


@pytest.fixture(autouse=True)
def _prices(redis_url: str, organization: Organization) -> None:
    add_shipped_prices()


def test_samples_cover_the_whole_schema() -> None:
    assert min(len(CHAT), len(MESSAGES)) > SAMPLES_MIN


@pytest.mark.parametrize(
    ("door", "payload", "body", "samples"),
    [
        (openai_chat, openai_chat.ChatCompletionRequest, {"model": "gpt-4"}, CHAT),
        (
            anthropic_messages,
            anthropic_messages.MessagesRequest,
            {"model": "claude-haiku-4-5", "max_tokens": 50},
            MESSAGES,
        ),
    ],
    ids=["chat completions", "messages"],
)
def test_every_parameter_is_passed_on_unchanged(
    organization: Organization, door: Any, payload: Any, body: dict[str, Any], samples: list[tuple[str, Any]]
) -> None:
    call = call_of(organization)
    with organization_scope(organization.pk):
        for name, value in samples:
            whole = {"messages": QUESTION, **body, name: value}
            submission = door.submission_from(call, parse(payload, whole, strict=True))
            assert (list(submission.messages), submission.parameters) == (QUESTION, {name: value}), name
