"""Warming the cache with answers before they are requested."""

import json
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.embedding.base import Vector
from cache_app.embedding.minilm import MiniLmEmbedder
from cache_app.facade import Payer, SemanticCache
from cache_app.manage import clear
from cache_app.models import CacheHit
from queue_app.models import AIRequest, Priority
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from queue_app.submission.intake import call_terms, question_of
from queue_app.submission.submission import Submission
from queue_app.submission.submit import submit
from tests.queue_app.conftest import ScriptedProvider, answer

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "What is the warranty on the team plan?"
cache = SemanticCache()
Warm = Callable[..., str]


@pytest.fixture
def warm(queue: None, organization: Organization, tmp_path: Path) -> Warm:
    """Runs the command. `lines` are written to its input file."""

    def run(*options: str, lines: list[object] | None = None, **named: object) -> str:
        printed = StringIO()
        if lines is not None:
            path = tmp_path / "questions.jsonl"
            path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
            named = {**named, "file": path}
        call_command("warm_cache", organization.slug, *options, stdout=printed, stderr=printed, **named)
        return printed.getvalue()

    return run


def submission(organization: Organization, text: str = QUESTION, **fields: object) -> Submission:
    fields = {"provider": "deepseek", "model": "deepseek-chat", "max_tokens": 100, **fields}
    messages = [{"role": "user", "content": text}]
    return Submission(organization_id=organization.pk, messages=messages, **fields)  # type: ignore[arg-type]


def asked(organization: Organization, text: str = QUESTION, **fields: object) -> AIRequest:
    with organization_scope(organization.pk):
        return submit(submission(organization, text, **fields))


def process_all(provider: ScriptedProvider, *answers: str) -> None:
    provider.script = [answer(text) for text in answers]
    for _ in answers:
        claim = claim_next("test")
        assert claim is not None
        process(claim)
    assert claim_next("test") is None


def cached(organization: Organization, text: str = QUESTION, **fields: object) -> str | None:
    with organization_scope(organization.pk):
        question = submission(organization, text, **fields)
        served = cache.look_up(question_of(question, call_terms(question)), Payer(organization.pk)).hit
        return served.response["content"] if served else None


def requests() -> list[AIRequest]:
    with system_scope():
        return list(AIRequest.objects.order_by("created_at"))


def test_supplied_answer_is_served(warm: Warm, organization: Organization) -> None:
    printed = warm(lines=[{"question": QUESTION, "answer": "Two years.", "maxTokens": 100, "tags": ["faq"]}])
    assert printed.startswith("1 answer stored, 0 already in the cache, 0 questions sent")
    assert cached(organization) == "Two years."
    assert not requests()
    with organization_scope(organization.pk):
        assert cache.clear_by_tags(["faq"], organization_id=organization.slug) == 1


def test_a_files_questions_are_embedded_ten_per_call(
    warm: Warm, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    embed = MiniLmEmbedder.embed

    def counted(self: MiniLmEmbedder, texts: Sequence[str], payer: Payer) -> list[Vector]:
        calls.append(len(texts))
        return embed(self, texts, payer)

    monkeypatch.setattr(MiniLmEmbedder, "embed", counted)
    lines = [{"question": f"What does plan {number} cost?", "answer": f"{number} dollars."} for number in range(12)]
    assert warm("--dry-run", lines=[*lines]).startswith("12 answers would be stored")
    assert calls == []
    assert warm(lines=[*lines, lines[0]]).startswith("12 answers stored, 1 already in the cache")
    assert calls == [10, 2]
    assert cached(organization, "What does plan 11 cost?", max_tokens=None) == "11 dollars."


def test_a_question_without_an_answer_is_queued(
    warm: Warm, organization: Organization, provider: ScriptedProvider
) -> None:
    assert "1 question sent" in warm(lines=[{"question": QUESTION, "maxTokens": 100}, ""])
    (request,) = requests()
    assert (request.priority, request.cache_mode) == (Priority.LOW, "refresh")
    process_all(provider, "Two years.")
    assert cached(organization) == "Two years."


def test_a_cached_question_is_neither_queued_nor_counted(
    warm: Warm, organization: Organization, provider: ScriptedProvider
) -> None:
    asked(organization)
    process_all(provider, "Two years.")
    printed = warm(lines=[{"question": QUESTION, "maxTokens": 100}] * 2)
    assert printed.startswith("0 answers stored, 2 already in the cache, 0 questions sent")
    assert len(requests()) == 1
    with system_scope():
        assert not CacheHit.objects.exists()


def test_file_with_byte_order_mark_and_line_separators_is_read(warm: Warm) -> None:
    lines = [
        json.dumps({"question": f"{QUESTION}\u2028Thanks.{each}", "answer": "Two years."}, ensure_ascii=False)
        for each in "ab"
    ]
    assert warm(lines=["\ufeff" + lines[0], lines[1]]).startswith("2 answers stored")


def test_a_repeated_line_is_queued_once(warm: Warm, provider: ScriptedProvider) -> None:
    assert "1 already in the cache, 1 question sent" in warm(lines=[{"question": QUESTION}] * 2)
    assert len(requests()) == 1


def test_a_frequent_question_is_queued_again_after_expiry(
    warm: Warm, organization: Organization, provider: ScriptedProvider
) -> None:
    asked(organization, context_key="desk")
    process_all(provider, "Two years.")
    asked(organization, context_key="desk")
    asked(organization, "What does the mobile app cost a month?")
    process_all(provider, "Nine dollars.")
    assert "0 questions sent" in warm(days=7)
    with organization_scope(organization.pk):
        clear(organization_id=organization.pk, everything=True, actor="user:x")
    assert "1 question sent" in warm(days=7)
    process_all(provider, "Three years.")
    hit = asked(organization, context_key="desk")
    assert hit.cached
    assert "0 questions sent" in warm(days=7)


def test_a_dry_run_changes_nothing(warm: Warm, organization: Organization) -> None:
    printed = warm("--dry-run", lines=[{"question": QUESTION}, {"question": "Why?", "answer": "So."}])
    assert printed.strip() == "1 answer would be stored, 0 already in the cache, 1 question would be sent"
    assert not requests()
    assert cached(organization) is None


def test_an_unpriced_question_is_reported_and_the_rest_continues(warm: Warm) -> None:
    printed = warm(lines=[{"question": QUESTION, "model": "no-such"}, {"question": QUESTION}])
    assert "1 question sent" in printed
    assert "1 not sent: " in printed


@pytest.mark.parametrize(
    "line",
    [
        '{"question": ""}',
        "{",
        "[]",
        '{"question": "Why?", "maxToken": 3}',
        '{"question": "Why?", "answer": " "}',
        r'{"question": "a\u0000b"}',
        r'{"question": "\ud800"}',
        r'{"question": "Why?", "system": "\udc00"}',
        r'{"question": "Why?", "\ud800": 1}',
    ],
)
def test_a_file_with_an_invalid_line_changes_nothing(warm: Warm, line: str) -> None:
    with pytest.raises(CommandError, match="line 2: "):
        warm(lines=[{"question": QUESTION}, line])
    assert not requests()


def test_invalid_options_are_reported(warm: Warm, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="above 0"):
        warm(days=0)
    with pytest.raises(CommandError, match="No such file"):
        warm(file=tmp_path / "none")
    with pytest.raises(CommandError, match="there is no organization nobody"):
        call_command("warm_cache", "nobody", days=1)
