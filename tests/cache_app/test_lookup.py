"""Lookups through the Python API, with a real Redis and the real embedder."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from aiinfra.redis import bytes_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app import create_semantic_cache, lookup
from cache_app.embedding import vector_cache
from cache_app.embedding.base import EmbedderError, Payer
from cache_app.facade import SemanticCache, UnknownOrganizationError
from cache_app.learning.judging import report
from cache_app.models import CacheMode, SharedWith
from cache_app.policy import change_policy, forget_policies
from cache_app.question import Question, entry_id
from cache_app.visible_text import visible_text
from tests.support.examples import examples
from tests.support.tcp import server

ASKED = "How can we lower the carbon emissions of our delivery vans?"
SIMILAR = "How can we reduce the carbon emissions of our delivery vans?"
ANSWER = {"role": "assistant", "content": "Drive fewer miles.", "finishReason": "stop"}
MODEL = ("deepseek", "deepseek-chat")
UNREACHABLE_REDIS = "redis://127.0.0.1:1/0"

Find = Callable[..., Any]


def turns(text: str, *earlier: tuple[str, str]) -> list[dict[str, str]]:
    return [*({"role": role, "content": content} for role, content in earlier), {"role": "user", "content": text}]


@pytest.fixture
def cache(redis_url: str) -> Iterator[SemanticCache]:
    forget_policies()
    vector_cache.clear_vectors()
    yield create_semantic_cache()
    forget_policies()
    vector_cache.clear_vectors()


@pytest.fixture
def stored_id(cache: SemanticCache, organization: Organization) -> str:
    """The ID of an entry that answers `ASKED`."""
    return cache.set(turns(ASKED), ANSWER, organization_id=organization.slug, tags=["vans"])


@pytest.fixture
def find(cache: SemanticCache, organization: Organization) -> Find:
    """Looks up a text; keyword arguments are passed to `get`."""

    def get(text: str, **options: Any) -> Any:
        return cache.get(turns(text), *MODEL, **{"organization_id": organization.slug, **options})

    return get


@pytest.fixture
def rules(organization: Organization) -> Callable[..., None]:
    """Changes the organization's policy."""

    def change(**changes: object) -> None:
        with organization_scope(organization.pk):
            change_policy(organization_id=organization.pk, changes=changes, actor="command:test")
        forget_policies()

    return change


def test_equal_and_similar_questions_are_found(find: Find, stored_id: str) -> None:
    equal, similar = find(f"  {ASKED} "), find(SIMILAR)
    assert (equal.kind, equal.similarity, equal.entry.id) == ("exact", 1.0, stored_id)
    assert (similar.kind, similar.entry.id, similar.entry.response) == ("semantic", stored_id, ANSWER)
    assert 0.85 <= similar.similarity < 1


def test_without_contextual_match_only_equal_questions_are_found(find: Find, stored_id: str) -> None:
    assert find(SIMILAR, contextual_match=False) is None
    assert find(ASKED, contextual_match=False)


def test_a_higher_threshold_excludes_less_similar_questions(find: Find, stored_id: str) -> None:
    similarity = find(SIMILAR).similarity
    assert find(SIMILAR, similarity_threshold=similarity - 0.001)
    assert find(SIMILAR, similarity_threshold=similarity + 0.001) is None
    assert find(ASKED, similarity_threshold=1.0)


def test_an_unknown_organization_raises_an_error(find: Find) -> None:
    with pytest.raises(UnknownOrganizationError):
        find(ASKED, organization_id="nobody")


@pytest.mark.parametrize("text", [" ", "yes", "go on", "why?"])
def test_turns_without_content_are_never_similar(cache: SemanticCache, find: Find, text: str) -> None:
    cache.set(turns("yes please"), ANSWER, organization_id="north")
    assert find(text) is None


SCOPES = [
    {"messages": turns(ASKED, ("system", "You are brief."))},
    {"messages": turns(ASKED, ("user", "Hello."), ("assistant", "Hello."))},
    {"model": "deepseek-reasoner"},
    {"provider": "openai"},
    {"temperature": 0.2},
    {"max_tokens": 10},
    {"parameters": {"tools": [{"name": "search"}]}},
    {"parameters": {"response_format": {"type": "json_object"}}},
    {"context_key": "k"},
]


@pytest.mark.parametrize("changed", SCOPES, ids=str)
@pytest.mark.parametrize("text", [ASKED, SIMILAR])
def test_another_scope_finds_nothing(
    cache: SemanticCache, organization: Organization, stored_id: str, changed: dict[str, Any], text: str
) -> None:
    fields = {"organization_id": organization.pk, "provider": MODEL[0], "model": MODEL[1], "messages": turns(text)}
    changed = {**changed, "messages": [*changed["messages"][:-1], *turns(text)]} if "messages" in changed else changed
    with organization_scope(organization.pk):
        assert cache.look_up(Question(**fields), Payer(organization.pk)).hit
        assert not cache.look_up(Question(**{**fields, **changed}), Payer(organization.pk)).hit


LAST_TURNS = [
    {"name": "alice"},
    {"name": ""},
    {"tool_call_id": "call-1"},
    {"cache_control": {"type": "ephemeral"}},
    {"role": "developer"},
]
"""Fields that a last turn can have in addition to its text."""


@pytest.mark.parametrize("field", LAST_TURNS, ids=str)
@pytest.mark.parametrize("text", [ASKED, SIMILAR])
def test_other_fields_of_the_last_turn_must_be_equal(
    cache: SemanticCache, organization: Organization, stored_id: str, field: dict[str, Any], text: str
) -> None:
    def look(last: dict[str, Any]) -> Any:
        return cache.look_up(Question(organization.pk, *MODEL, [last]), Payer(organization.pk)).hit

    with organization_scope(organization.pk):
        assert look({"role": "user", "content": text})
        assert not look({"role": "user", "content": text, **field})


@pytest.mark.parametrize("at", [0, 1, 2])
def test_every_field_of_every_turn_reaches_the_exact_key(at: int) -> None:
    messages = turns(ASKED, ("system", "Be brief."), ("assistant", "Hello."))
    named = [{**turn, "name": "alice"} if index == at else turn for index, turn in enumerate(messages)]
    other = [{**turn, "name": "bob"} if index == at else turn for index, turn in enumerate(messages)]
    partitions = {Question(1, *MODEL, each).partition("e") for each in (messages, named, other)}
    assert len(partitions) == 3


@pytest.mark.parametrize("shared_with", [SharedWith.USER, SharedWith.API_KEY])
def test_answers_are_shared_only_within_their_scope(
    cache: SemanticCache, organization: Organization, rules: Callable[..., None], shared_with: SharedWith
) -> None:
    rules(shared_with=shared_with)
    ann, ben = ({"user_ref": "ann", "api_key_id": 1}, {"user_ref": "ben", "api_key_id": 2})
    asked = {"organization_id": organization.pk, "provider": MODEL[0], "model": MODEL[1], "messages": turns(ASKED)}
    with organization_scope(organization.pk):
        one, other = Question(**asked, **ann), Question(**asked, **ben)
        assert one.partition("e", shared_with) != other.partition("e", shared_with)
        assert one.partition("e") == other.partition("e")
        assert lookup.prepare(one).cache_key.entry_id != lookup.prepare(other).cache_key.entry_id


def test_other_organizations_find_nothing(find: Find, stored_id: str, other_organization: Organization) -> None:
    assert find(ASKED, organization_id=other_organization.slug) is None
    assert find(SIMILAR, organization_id=other_organization.slug) is None


TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=examples(50, 500))
@given(system=TEXTS, asked=TEXTS, other_system=TEXTS, other_asked=TEXTS)
def test_no_wording_moves_a_question_to_another_partition(
    system: str, asked: str, other_system: str, other_asked: str
) -> None:
    one = Question(1, *MODEL, turns(asked, ("system", system)))
    other = Question(1, *MODEL, turns(other_asked, ("system", other_system)))
    same_scope = system == other_system and bool(visible_text(asked)) == bool(visible_text(other_asked))
    assert (one.partition("e") == other.partition("e")) == same_scope


def test_cleared_entries_are_not_found(
    cache: SemanticCache, find: Find, stored_id: str, organization: Organization
) -> None:
    assert find(ASKED)
    assert cache.clear_by_tags(["vans"], organization_id=organization.slug) == 1
    assert find(ASKED) is None
    assert find(SIMILAR) is None


def test_a_reported_answer_is_not_served_to_that_question_again(
    cache: SemanticCache, find: Find, stored_id: str, organization: Organization
) -> None:
    with organization_scope(organization.pk):
        question = Question(organization.pk, *MODEL, turns(SIMILAR))
        look = cache.look_up(question, Payer(organization.pk))
        assert look.hit
        hit = cache.record_hit(
            request_id=uuid4(), cache_key=look.cache_key, hit=look.hit, provider=MODEL[0], model=MODEL[1]
        )
        report(
            organization_id=organization.pk, entry_id=stored_id, request_id=hit.id, correct=False, actor="command:test"
        )
        look = cache.look_up(question, Payer(organization.pk))
    assert (look.hit, look.reason) == (None, "blocked")
    assert find(ASKED)


def test_a_disabled_cache_finds_nothing(find: Find, stored_id: str, rules: Callable[..., None]) -> None:
    rules(mode=CacheMode.OFF)
    assert find(ASKED) is None


def test_exact_mode_finds_only_equal_questions(find: Find, stored_id: str, rules: Callable[..., None]) -> None:
    rules(mode=CacheMode.EXACT)
    assert find(ASKED)
    assert find(SIMILAR) is None


def test_without_redis_everything_is_a_miss_until_it_returns(find: Find, stored_id: str, settings: Settings) -> None:
    working, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE_REDIS
    assert find(ASKED) is None
    assert find(SIMILAR) is None
    settings.REDIS_URL = working
    assert find(ASKED)


def test_a_hung_redis_is_a_miss(find: Find, stored_id: str, settings: Settings) -> None:
    settings.REDIS_TIMEOUT_S = 0.05
    with server(lambda connection: connection.recv(1 << 20) and connection.settimeout(0.5) is None) as port:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
        assert find(ASKED) is None


def test_an_emptied_redis_is_a_miss_and_accepts_new_answers(
    cache: SemanticCache, find: Find, stored_id: str, organization: Organization
) -> None:
    assert find(SIMILAR)
    bytes_client().flushall()
    assert find(SIMILAR) is None
    assert find(ASKED) is None
    cache.set(turns(ASKED), ANSWER, organization_id=organization.slug)
    assert find(SIMILAR)


def test_without_an_embedder_equal_questions_are_found(
    find: Find, stored_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise EmbedderError("gone")

    monkeypatch.setattr(lookup, "embed_for_lookup", broken)
    assert find(ASKED)
    assert find(SIMILAR) is None


def test_corrupt_vectors_never_find_other_entries(
    find: Find, stored_id: str, organization: Organization, other_organization: Organization, cache: SemanticCache
) -> None:
    cache.set(turns(ASKED), {**ANSWER, "content": "theirs"}, organization_id=other_organization.slug)
    redis = bytes_client()
    for key in redis.keys(f"sc:{{{organization.pk}}}:v:*"):
        for name in redis.hkeys(key):
            redis.hset(key, name, np.random.default_rng(1).bytes(768))
        redis.hset(key, "f" * 32, b"short")
    match = find(SIMILAR)
    assert match is None or match.entry.id == stored_id


@pytest.mark.parametrize("other", ["a  b", "a\tb", "a\nb", "A b"])
def test_texts_with_different_inner_whitespace_or_case_are_not_equal(other: str) -> None:
    """Whitespace matters in code and tables."""
    assert entry_id("p", other) != entry_id("p", "a b")


@pytest.mark.parametrize("same", [" a b", "a b\n"])
def test_surrounding_whitespace_makes_no_difference(same: str) -> None:
    assert entry_id("p", same) == entry_id("p", "a b")
