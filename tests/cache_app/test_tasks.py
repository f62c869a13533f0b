"""The cache's scheduled jobs."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app import tasks
from cache_app.embedding import vector_cache
from cache_app.embedding.base import EmbedderError, EmbedderRefusedError, Payer, Scale, Vector
from cache_app.metrics.folding import fold_counts
from cache_app.models import CacheHit, JudgedBy, JudgedPair
from cache_app.store import browse, entries, l1
from tests.cache_app.learning.made import ASKED, EMBEDDER, ENTRY, PARTITION, make_entry, make_hit


class Scripted:
    """Gives all texts the same vector, refuses selected texts, and records payers and calls."""

    id, dimensions, scale = EMBEDDER, 384, Scale(edge=0.85, clear=0.9, near=0.75)

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.payers: list[Payer] = []
        self.calls: list[int] = []

    def prepare(self) -> None:
        """Nothing to load."""

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:
        self.calls.append(len(texts))
        if self.refused.intersection(texts):
            raise EmbedderRefusedError("refused")
        self.payers.append(payer)
        return [np.full(384, 384**-0.5, dtype=np.float32) for _ in texts]


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> Scripted:
    scripted = Scripted()
    monkeypatch.setattr(vector_cache, "configured_embedder", lambda: scripted)
    vector_cache.clear_vectors()
    l1.clear()
    return scripted


def waiting(organization: Organization) -> set[str]:
    return {entry.question for entry in browse.waiting_for_vectors(organization.pk)}


def test_missing_vectors_are_embedded_and_charged_to_the_organization(
    organization: Organization, other_organization: Organization, embedder: Scripted
) -> None:
    for each in (organization, other_organization):
        make_entry(each, f"How does {each.name} report scope 2?")
    assert waiting(organization)
    assert tasks.embed_waiting() == 2
    assert waiting(organization) == waiting(other_organization) == set()
    assert {payer.organization_id for payer in embedder.payers} == {organization.pk, other_organization.pk}
    assert tasks.embed_waiting() == 0


def test_a_refused_text_does_not_block_others(organization: Organization, embedder: Scripted) -> None:
    for text in ("one", "two", "three"):
        make_entry(organization, text)
    embedder.refused = {"two"}
    assert tasks.embed_waiting() == 2
    assert waiting(organization) == {"two"}


def test_texts_are_embedded_ten_per_call(organization: Organization, embedder: Scripted) -> None:
    for number in range(23):
        make_entry(organization, f"Question {number}")
    assert tasks.embed_waiting() == 23
    assert embedder.calls == [10, 10, 3]


def test_a_refused_text_is_isolated_and_retried_later(organization: Organization, embedder: Scripted) -> None:
    for number in range(10):
        make_entry(organization, f"Question {number}")
    embedder.refused = {"Question 4"}
    assert tasks.embed_waiting() == 9
    assert waiting(organization) == {"Question 4"}
    assert len(embedder.calls) <= 9, "the refused text was not found by bisection"
    before = len(embedder.calls)
    assert tasks.embed_waiting() == 0
    assert len(embedder.calls) == before


def test_an_embedder_that_is_down_is_called_once(
    organization: Organization, embedder: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(texts: Sequence[str], payer: Payer) -> list[Vector]:
        embedder.calls.append(len(texts))
        raise EmbedderError("down")

    for number in range(23):
        make_entry(organization, f"Question {number}")
    monkeypatch.setattr(embedder, "embed", down)
    assert tasks.embed_waiting() == 0
    assert embedder.calls == [10]
    assert len(waiting(organization)) == 23


def test_texts_and_hits_are_deleted_with_their_requests(
    organization: Organization, redis_url: str, settings: Settings
) -> None:
    settings.QUEUE_CONTENT_RETENTION_DAYS, settings.QUEUE_RETENTION_DAYS = 7, 30
    for days in (0, 8, 31):
        make_hit(organization, fresh_answer="Yes.", at=timezone.now() - timedelta(days=days))
    tasks.clean_up_rows()
    with organization_scope(organization.pk):
        assert CacheHit.objects.count() == 3, "a hit was deleted before it was counted"
        assert [hit.question for hit in CacheHit.objects.order_by("-at")] == [ASKED, "", ""]
        assert set(
            CacheHit.objects.exclude(question=ASKED).values_list("answer", "cached_question", "fresh_answer")
        ) == {("", "", "")}
        fold_counts()
        for _ in range(2):
            tasks.clean_up_rows()
        assert CacheHit.objects.count() == 2


def test_a_judgment_missed_by_redis_is_applied_later(organization: Organization, redis_url: str) -> None:
    make_entry(organization)
    with organization_scope(organization.pk):
        JudgedPair.objects.create(
            organization=organization,
            embedder=EMBEDDER,
            partition=PARTITION,
            entry_id=ENTRY,
            question_id="f" * 32,
            similarity=0.9,
            is_right=False,
            judged_by=JudgedBy.REPORT,
        )
    tasks.apply_blocks()
    entry = entries.fetch_one(organization.pk, ENTRY)
    assert entry is not None
    assert entry.blocked == {"f" * 32}


@pytest.mark.usefixtures("redis_url", "organization")
def test_every_job_can_run_twice_on_an_empty_installation() -> None:
    for _, run in [*tasks.jobs(), *tasks.slow_jobs()] * 2:
        run()
