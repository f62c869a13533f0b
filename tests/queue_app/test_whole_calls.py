"""The provider gets every field of a client's call, and answers keep the fields of one dialect."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from aiinfra.providers.base import Dialect
from cache_app import create_semantic_cache
from queue_app.models import RequestContent
from queue_app.ordering.claims import Claim
from queue_app.packing import unpack
from queue_app.processing.provider_call import process
from queue_app.submission.intake import call_terms, question_of
from queue_app.submission.submission import Submission
from tests.queue_app.conftest import ScriptedProvider, answer

pytestmark = pytest.mark.usefixtures("scoped")
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
PARTS = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://e.org/c.png"}}]


def test_provider_gets_all_fields_that_the_client_sent(
    claimed: Callable[..., Claim], provider: ScriptedProvider
) -> None:
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": PARTS, "name": "ann"}]
    parameters = {"tools": TOOLS, "seed": 7, "stop": ["END"], "something": {"new": True}}
    process(claimed(messages=messages, parameters=parameters, temperature=0.5, max_tokens=9, timeout_ms=4_000))
    [(_, call)] = provider.calls
    assert (call.messages, call.parameters) == (messages, parameters)
    assert (call.temperature, call.max_tokens, call.timeout_s, call.dialect) == (0.5, 9, 4.0, Dialect.OPENAI)


def test_call_stored_by_an_earlier_release_still_runs(
    claimed: Callable[..., Claim], provider: ScriptedProvider
) -> None:
    claim = claimed()
    old = {"messages": [{"role": "user", "content": "Hi"}], "temperature": None, "max_tokens": 5, "cache": None}
    process(replace(claim, call=old))
    [(_, call)] = provider.calls
    assert (call.parameters, call.dialect, call.service_tier) == ({}, Dialect.OPENAI, None)


def test_answer_keeps_fields_of_its_dialect(claimed: Callable[..., Claim], provider: ScriptedProvider) -> None:
    provider.script = [replace(answer("Hello."), native={"message": {"reasoning_content": "Hm."}})]
    process(claimed())
    assert unpack(RequestContent.objects.get().response)["native"] == {"message": {"reasoning_content": "Hm."}}


ASKED = "How do I plan a vegetable garden?"


@pytest.mark.parametrize(
    ("parameters", "is_comparable"),
    [
        ({}, True),
        ({"top_p": 0.5}, True),
        ({"user": "u-1", "prompt_cache_key": "k", "metadata": {"a": "b"}, "store": True}, True),
        ({"tools": TOOLS}, False),
        ({"seed": 7}, False),
        ({"response_format": {"type": "json_object"}}, False),
        ({"something": 1}, False),
    ],
    ids=str,
)
def test_only_plain_questions_use_semantic_matching(
    queue: None, scoped: object, parameters: dict[str, object], is_comparable: bool
) -> None:
    submission = Submission(1, "deepseek", "deepseek-chat", [{"role": "user", "content": ASKED}], parameters=parameters)
    key = create_semantic_cache().prepare(question_of(submission, call_terms(submission))).cache_key
    assert key.by_meaning is is_comparable


def partition(**fields: object) -> str:
    submission = Submission(1, "deepseek", "deepseek-chat", [{"role": "user", "content": ASKED}], **fields)  # type: ignore[arg-type]
    return question_of(submission, call_terms(submission)).partition("e")


def test_cache_key_covers_every_parameter_that_the_model_sees(queue: None) -> None:
    seen = [{"seed": 7}, {"seed": 8}, {"top_p": 0.5}, {"tools": TOOLS}, {"stop": "a"}, {"something": 1}]
    partitions = {partition(parameters=each) for each in seen} | {partition(), partition(dialect=Dialect.ANTHROPIC)}
    assert len(partitions) == len(seen) + 2
    assert partition(parameters={"user": "u-1", "metadata": {}}) == partition()
