"""The specification's examples of the semantic cache."""

import pytest

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.facade import SemanticCache, UnknownOrganizationError

ASKED = [{"role": "user", "content": "How much carbon does plant 7 emit?"}]
ANSWER = {"role": "assistant", "content": "42 t", "finishReason": "stop"}
MODEL = ("deepseek", "deepseek-chat")
USAGE = {"promptTokens": 100, "completionTokens": 150, "totalTokens": 250}
pytestmark = pytest.mark.usefixtures("organization")


@pytest.fixture
def stored_id(cache: SemanticCache) -> str:
    """The ID of the specification's example entry."""
    return cache.set(
        ASKED,
        ANSWER,
        organization_id="north",
        user_id="user-456",
        tags=["carbon", "q3-2024"],
        metadata={"provider": "deepseek", "model": "deepseek-chat", "confidence": 0.95},
    )


def test_a_stored_answer_is_found(cache: SemanticCache, stored_id: str) -> None:
    hit = cache.get(
        ASKED, *MODEL, organization_id="north", user_id="user-456", contextual_match=True, similarity_threshold=0.85
    )
    assert hit
    assert (hit.entry.id, hit.entry.response["content"], hit.similarity) == (stored_id, "42 t", 1.0)


def test_stored_and_cleared_answers_are_in_the_audit_log(
    cache: SemanticCache, stored_id: str, organization: Organization
) -> None:
    cache.clear_by_tags(["carbon"], organization_id="north")
    with organization_scope(organization.pk):
        found = set(AuditEvent.objects.filter(actor="Python").values_list("verb", "target"))
    assert found == {("cache.entry_given", stored_id), ("cache.cleared", "entries tagged carbon")}


def test_statistics_count_entries_lookups_and_hits(cache: SemanticCache, stored_id: str) -> None:
    assert cache.get(ASKED, *MODEL, organization_id="north")
    assert cache.get([{"role": "user", "content": "Where is plant 9?"}], *MODEL, organization_id="north") is None
    stats = cache.get_stats("north")
    assert (stats.total_entries, stats.hits, stats.misses, stats.hit_rate) == (1, 1, 1, 50.0)


def test_the_average_similarity_is_that_of_semantic_hits(cache: SemanticCache) -> None:
    cache.set(
        [{"role": "user", "content": "How can we lower the emissions of our vans?"}], ANSWER, organization_id="north"
    )
    similar = [{"role": "user", "content": "How can we reduce the emissions of our vans?"}]
    hits = [cache.get(similar, *MODEL, organization_id="north") for _ in range(2)]
    assert hits[0] and hits[0].kind == "semantic"
    average = cache.get_stats("north").average_similarity
    assert average == pytest.approx(hits[0].similarity, abs=1e-4)


def test_another_organization_neither_finds_nor_clears_entries(
    cache: SemanticCache, stored_id: str, other_organization: Organization
) -> None:
    assert cache.get(ASKED, *MODEL, organization_id="south") is None
    assert cache.clear_by_tags(["q3-2024"], organization_id="south") == 0
    assert cache.get_stats("south").total_entries == 0
    assert cache.get(ASKED, *MODEL, organization_id="north")


def test_entries_are_cleared_by_tag(cache: SemanticCache, stored_id: str) -> None:
    assert cache.clear_by_tags(("q4-2024",), organization_id="north") == 0
    assert cache.clear_by_tags(["q3-2024"], organization_id="north") == 1
    assert cache.get(ASKED, *MODEL, organization_id="north") is None


def test_an_answer_is_stored_for_the_model_of_its_metadata_or_options(cache: SemanticCache) -> None:
    cache.set(ASKED, ANSWER, organization_id="north", metadata={"provider": "openai", "model": "gpt-4"})
    assert cache.get(ASKED, *MODEL, organization_id="north") is None
    assert cache.get(ASKED, "openai", "gpt-4", organization_id="north")
    cache.set(ASKED, ANSWER, organization_id="north", provider="anthropic", model="claude-haiku-4-5")
    assert cache.get(ASKED, "anthropic", "claude-haiku-4-5", organization_id="north")


def test_a_response_can_include_its_usage(cache: SemanticCache) -> None:
    cache.set(ASKED, {**ANSWER, "usage": USAGE}, organization_id="north")
    hit = cache.get(ASKED, *MODEL, organization_id="north")
    assert hit and hit.entry.response == ANSWER


def test_an_answer_is_found_only_with_the_same_parameters(cache: SemanticCache) -> None:
    cache.set(ASKED, ANSWER, organization_id="north", temperature=0.2, max_tokens=50, context_key="audit")
    assert cache.get(ASKED, *MODEL, organization_id="north") is None
    assert cache.get(ASKED, *MODEL, organization_id="north", temperature=0.2, max_tokens=50, context_key="audit")


def test_an_unknown_organization_raises_a_lookup_error(cache: SemanticCache) -> None:
    calls = [
        lambda: cache.get(ASKED, *MODEL, organization_id="nowhere"),
        lambda: cache.set(ASKED, ANSWER, organization_id="nowhere"),
        lambda: cache.get_stats("nowhere"),
        lambda: cache.clear_by_tags(["a"], organization_id="nowhere"),
    ]
    for call in calls:
        with pytest.raises(UnknownOrganizationError, match="nowhere"):
            call()
