"""Lookups from a slightly different scope never hit an entry, even with the same question."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app import lookup
from cache_app.embedding.base import Payer, Vector
from cache_app.embedding.minilm import MiniLmEmbedder
from cache_app.facade import NewEntry, SemanticCache
from cache_app.models import SharedWith
from cache_app.policy import change_policy, forget_policies
from cache_app.question import Question
from tests.cache_app.test_lookup import ANSWER, ASKED, MODEL, SIMILAR

pytestmark = pytest.mark.django_db

TIMES = 1_000
SYSTEM = {"role": "system", "content": "You answer for the accounts of 2024."}
EARLIER = [{"role": "user", "content": "Hello there."}, {"role": "assistant", "content": "What is it about?"}]
KEY = 7
ANSWERED = NewEntry(response=ANSWER, usage=TokenUsage(), provider=MODEL[0], model=MODEL[1])


@pytest.fixture(autouse=True)
def _one_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all texts the same vector, so that only the scope can prevent a hit."""
    vector = MiniLmEmbedder().embed([ASKED], Payer(0))[0]

    def embed(_text: str, _partition: str, _payer: Payer) -> Vector:
        return vector

    monkeypatch.setattr(lookup, "embed_for_lookup", embed)
    monkeypatch.setattr("cache_app.writing.embed_for_lookup", embed)


@pytest.fixture
def cached_fields(redis_url: str, organization: Organization) -> Iterator[dict[str, Any]]:
    """The fields of a question that the cache can answer; answers are shared within an API key."""
    forget_policies()
    fields = {
        "organization_id": organization.pk,
        "provider": MODEL[0],
        "model": MODEL[1],
        "messages": [SYSTEM, *EARLIER, {"role": "user", "content": ASKED}],
        "api_key_id": KEY,
    }
    with organization_scope(organization.pk):
        change_policy(organization_id=organization.pk, changes={"shared_with": SharedWith.API_KEY}, actor="user:x")
        forget_policies()
        question = Question(**fields)
        cache_key = SemanticCache.prepare(question).cache_key
        SemanticCache().store_at(cache_key, ANSWERED, Payer(organization.pk))
    yield fields
    forget_policies()


def served(fields: dict[str, Any]) -> int:
    """How many of two lookups, an equal and a similar question, are hits."""
    organization_id = fields["organization_id"]
    last = {"role": "user", "content": SIMILAR}
    with organization_scope(organization_id):
        looks = [
            SemanticCache.look_up(Question(**{**fields, "messages": messages}), Payer(organization_id))
            for messages in (fields["messages"], [*fields["messages"][:-1], last])
        ]
    return sum(look.hit is not None for look in looks)


def altered(text: str, dice: random.Random) -> str:
    """The text with one character removed, inserted, doubled, or in another case."""
    at = dice.randrange(len(text))
    return dice.choice(
        [text[:at] + text[at + 1 :], text[:at] + "\u200b" + text[at:], text[:at] + 2 * text[at] + text[at + 1 :]]
    )


def other_model(fields: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    name = dice.choice(["provider", "model"])
    return {**fields, name: altered(fields[name], dice)}


def other_key(fields: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    return {**fields, "api_key_id": dice.choice([None, *range(KEY), *range(KEY + 1, 10_000)])}


def other_system_prompt(fields: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    system, *rest = fields["messages"]
    return {**fields, "messages": [{**system, "content": altered(system["content"], dice)}, *rest]}


def other_turns(fields: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Remove a turn, change its text or role, move it, or merge it with the previous one."""
    *before, last = ({**turn} for turn in fields["messages"])
    at = dice.randrange(1, len(before))
    match dice.randrange(5):
        case 0:
            del before[at]
        case 1:
            before[at]["content"] = altered(before[at]["content"], dice)
        case 2:
            before[at]["role"] = "assistant" if before[at]["role"] == "user" else "user"
        case 3:
            before[at - 1 : at + 1] = reversed(before[at - 1 : at + 1])
        case _:
            before[at - 1]["content"] += "\n" + before.pop(at)["content"]
    return {**fields, "messages": [*before, last]}


@pytest.mark.parametrize("change", [other_model, other_key, other_system_prompt, other_turns])
def test_another_scope_of_the_same_organization_never_hits(cached_fields: dict[str, Any], change: Any) -> None:
    dice = random.Random(change.__name__)
    assert served(cached_fields) == 2
    assert sum(served(change(cached_fields, dice)) for _ in range(TIMES // 2)) == 0
    assert served(cached_fields) == 2


def test_another_organization_never_hits(cached_fields: dict[str, Any], other_organization: Organization) -> None:
    assert served(cached_fields) == 2
    assert sum(served({**cached_fields, "organization_id": other_organization.pk}) for _ in range(TIMES // 2)) == 0
    assert served(cached_fields) == 2
