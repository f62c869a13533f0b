"""What is stored with an answer, and with the hits on it."""

import time
from uuid import uuid4

import numpy as np
import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app import writing
from cache_app.answers import Hit, LookupResult, NewEntry
from cache_app.cache_key import CacheKey
from cache_app.embedding import vector_cache
from cache_app.embedding.base import EmbedderError, Payer
from cache_app.models import CacheHit, CachePolicy, Layer
from cache_app.policy import forget_policies
from cache_app.store import entries
from cache_app.writing import record_hit, record_shadow, store_answer, with_vector, with_vectors

HOUR_MS = 3_600_000
USAGE = TokenUsage(input=20, output=10)
RESPONSE = {"role": "assistant", "content": "Two years.", "finishReason": "stop"}
MODEL = {"provider": "deepseek", "model": "deepseek-chat"}


@pytest.fixture(autouse=True)
def _scope(organization: Organization, redis_url: str) -> None:
    """An empty Redis, and no policies or vectors from other tests."""
    forget_policies()
    vector_cache.clear_vectors()


def key_of(organization: Organization, text: str = "How long is the warranty?", by_meaning: bool = True) -> CacheKey:
    return CacheKey(organization.pk, "0" * 32, uuid4().hex, text, "minilm", by_meaning)


def hit_on(cache_key: CacheKey) -> Hit:
    return Hit(
        layer=Layer.SEMANTIC,
        entry_id="e" * 32,
        similarity=0.91,
        rule="similar",
        response=RESPONSE,
        usage=USAGE,
        cached_question="What is the warranty?",
        age_s=7,
        saved_ms=800,
        lookup_ms=1.5,
    )


def test_an_entry_keeps_the_answer_its_origin_and_its_end(organization: Organization) -> None:
    cache_key, request_id = key_of(organization), uuid4()
    new_entry = NewEntry(
        RESPONSE,
        USAGE,
        **MODEL,
        tags=("faq",),
        metadata={"page": "help"},
        origin="warmed",
        request_id=request_id,
        api_key_id=3,
        user_ref="ann",
        latency_ms=850,
    )
    with organization_scope(organization.pk):
        CachePolicy.objects.create(organization=organization, ttl_hours=3)
        before_ms = round(time.time() * 1000)
        assert store_answer(cache_key, new_entry) is True
    entry = entries.fetch_one(organization.pk, cache_key.entry_id)
    assert entry
    assert (entry.partition, entry.question, entry.response) == (cache_key.partition, cache_key.text, RESPONSE)
    assert (entry.usage, entry.provider, entry.model) == (USAGE, "deepseek", "deepseek-chat")
    assert (entry.tags, entry.metadata, entry.origin) == (("faq",), {"page": "help"}, "warmed")
    assert (entry.request_id, entry.api_key_id, entry.user_ref, entry.latency_ms) == (str(request_id), 3, "ann", 850)
    assert before_ms <= entry.created_ms <= round(time.time() * 1000)
    assert entry.expires_ms == entry.created_ms + 3 * HOUR_MS


def test_an_answer_without_a_request_has_no_request_id(organization: Organization) -> None:
    cache_key = key_of(organization)
    with organization_scope(organization.pk):
        store_answer(cache_key, NewEntry(RESPONSE, USAGE, **MODEL))
    entry = entries.fetch_one(organization.pk, cache_key.entry_id)
    assert entry and entry.request_id == ""


def test_the_policy_limits_the_number_of_entries(organization: Organization) -> None:
    cache_keys = [key_of(organization) for _ in range(3)]
    with organization_scope(organization.pk):
        CachePolicy.objects.create(organization=organization, max_entries=2)
        for each in cache_keys:
            store_answer(each, NewEntry(RESPONSE, USAGE, **MODEL))
    kept = [entries.fetch_one(organization.pk, each.entry_id) is not None for each in cache_keys]
    assert sum(kept) == 2


def test_without_redis_no_answer_is_stored(organization: Organization, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with organization_scope(organization.pk):
        assert store_answer(key_of(organization), NewEntry(RESPONSE, USAGE, **MODEL)) is False


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_hit_is_recorded_with_its_question_and_answer(organization: Organization, share: float) -> None:
    cache_key, request_id = key_of(organization), uuid4()
    key, _ = create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    with organization_scope(organization.pk):
        CachePolicy.objects.create(organization=organization, reask_share=share, reask_day_nano=100)
        further = {**MODEL, "saved_nano": 9, "api_key_id": key.pk, "user_ref": "ann"}
        returned = record_hit(request_id=request_id, cache_key=cache_key, hit=hit_on(cache_key), **further)
        row = CacheHit.objects.get()
    assert returned.id == row.id == request_id
    assert (row.organization_id, row.partition, row.embedder) == (organization.pk, cache_key.partition, "minilm")
    assert (row.layer, row.entry_id, row.similarity, row.rule) == (Layer.SEMANTIC, "e" * 32, 0.91, "similar")
    assert (row.question, row.cached_question) == (cache_key.text, "What is the warranty?")
    assert (row.answer, row.saved_ms, row.entry_age_s, row.lookup_ms) == ("Two years.", 800, 7, 1.5)
    assert (row.provider, row.saved_nano, row.api_key_id, row.user_ref) == ("deepseek", 9, key.pk, "ann")
    assert (row.shadow, row.reask) == (False, share == 1.0)


def test_only_a_shadow_hit_is_recorded_as_one(organization: Organization) -> None:
    cache_key, request_id = key_of(organization), uuid4()
    served = LookupResult(cache_key, hit=hit_on(cache_key))
    shadowed = LookupResult(cache_key, shadow_hit=hit_on(cache_key))
    with organization_scope(organization.pk):
        record_shadow(request_id=uuid4(), lookup=served, **MODEL)
        assert not CacheHit.objects.exists()
        record_shadow(request_id=request_id, lookup=shadowed, **MODEL)
        row = CacheHit.objects.get()
    assert (row.id, row.shadow, row.model, row.question) == (request_id, True, "deepseek-chat", cache_key.text)


def test_only_texts_compared_by_meaning_get_a_vector(organization: Organization) -> None:
    payer = Payer(organization.pk)
    embedded, exact = key_of(organization), key_of(organization, "Where is it?", by_meaning=False)
    vector = with_vector(embedded, payer).vector
    assert vector is not None
    assert with_vector(exact, payer) is exact
    known = CacheKey(**{**embedded.__dict__, "vector": np.zeros(3, np.float32)})
    assert with_vector(known, payer) is known
    found = with_vectors([embedded, exact, known, key_of(organization, "Who pays?")], payer)
    assert found[0].vector is not None and np.array_equal(found[0].vector, vector)
    assert found[1].vector is None
    assert found[3].vector is not None and not np.array_equal(found[3].vector, vector)


def test_keys_with_one_text_get_vectors_one_by_one(organization: Organization) -> None:
    vector = np.zeros(3, np.float32)
    embedded, exact, known = key_of(organization), key_of(organization, by_meaning=False), key_of(organization)
    known = CacheKey(**{**known.__dict__, "vector": vector})
    found = with_vectors([embedded, exact, known], Payer(organization.pk))
    assert found[0].vector is not None
    assert found[1].vector is None
    assert found[2].vector is vector


def test_a_text_that_cannot_be_embedded_keeps_its_key(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EmbedderError("away")

    monkeypatch.setattr(writing, "embed_for_lookup", fail)
    cache_key = key_of(organization)
    assert with_vector(cache_key, Payer(organization.pk)) is cache_key
