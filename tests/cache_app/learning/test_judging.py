"""An answer judged wrong is never served to the same question again, even if the entry or Redis is lost."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.answers import NewEntry
from cache_app.cache_key import CacheKey
from cache_app.learning.judging import (
    Blocks,
    UnknownHitError,
    apply_blocks,
    blocks_of,
    is_wrong_pair,
    judge,
    report,
)
from cache_app.models import CacheHit, CachePolicy, JudgedBy, JudgedPair, Judgement, Layer
from cache_app.question import entry_id
from cache_app.store import entries
from cache_app.store.entry import Entry
from cache_app.writing import store_answer
from tests.cache_app.learning.made import ASKED, ENTRY, PARTITION, make_entry, make_hit

AWAY = "redis://127.0.0.1:1/0"
ASKED_ID = entry_id(PARTITION, ASKED)
Committing = Callable[..., AbstractContextManager[object]]


@pytest.fixture
def commits(django_capture_on_commit_callbacks: Committing) -> Callable[[], AbstractContextManager[object]]:
    """A block that runs `on_commit` callbacks at its end."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def submit_report(hit: CacheHit, *, correct: bool) -> CacheHit:
    return report(
        organization_id=hit.organization_id,
        entry_id=hit.entry_id,
        request_id=hit.id,
        correct=correct,
        actor="user:operator",
    )


def stored_entry(organization: Organization) -> Entry | None:
    return entries.fetch_one(organization.pk, ENTRY)


def test_a_wrong_hit_blocks_the_pair_and_raises_the_entrys_bar(scoped: Organization, commits: Committing) -> None:
    make_entry(scoped)
    with commits():
        hit = submit_report(make_hit(scoped), correct=False)
    entry = stored_entry(scoped)
    assert entry is not None
    assert (entry.blocked, entry.bar) == (frozenset({ASKED_ID}), 0.93)
    assert (hit.judgement, hit.judged_by) == (Judgement.WRONG, JudgedBy.REPORT)
    pair = JudgedPair.objects.get()
    assert (pair.question_id, pair.is_right, pair.similarity, pair.weight) == (ASKED_ID, False, 0.91, 1)
    event = AuditEvent.objects.get()
    assert (event.actor, event.verb, event.changes) == (
        "user:operator",
        "cache_hit.judged",
        {"judgement": ["", "wrong"]},
    )
    assert ASKED not in event.target


def test_the_bar_stays_below_the_similarity_of_an_equal_text(scoped: Organization, commits: Committing) -> None:
    make_entry(scoped)
    with commits():
        submit_report(make_hit(scoped, similarity=0.995), correct=False)
    assert blocks_of(scoped.pk, ENTRY).bar == 0.999


def test_a_right_hit_changes_nothing_for_the_entry(scoped: Organization, commits: Committing) -> None:
    make_entry(scoped)
    with commits():
        submit_report(make_hit(scoped), correct=True)
    entry = stored_entry(scoped)
    assert entry is not None
    assert (entry.blocked, entry.bar) == (frozenset(), 0.0)
    assert JudgedPair.objects.get().is_right
    assert blocks_of(scoped.pk, ENTRY) == Blocks(frozenset(), 0.0)


def test_the_second_wrong_hit_removes_the_entry(scoped: Organization, commits: Committing) -> None:
    make_entry(scoped)
    with commits():
        submit_report(make_hit(scoped), correct=False)
    assert stored_entry(scoped)
    with commits():
        submit_report(make_hit(scoped, "Who reports scope 1 emissions?"), correct=False)
    assert stored_entry(scoped) is None


def test_a_repeated_report_counts_once(scoped: Organization, commits: Committing) -> None:
    make_entry(scoped)
    hit = make_hit(scoped)
    for _ in range(2):
        with commits():
            submit_report(hit, correct=False)
    assert stored_entry(scoped)
    assert AuditEvent.objects.count() == 1


def test_reports_on_an_old_answer_do_not_remove_a_new_one(scoped: Organization, commits: Committing) -> None:
    with commits():
        submit_report(make_hit(scoped), correct=False)
        submit_report(make_hit(scoped, "Who reports scope 1 emissions?"), correct=False)
    make_entry(scoped, created_ms=round(time.time() * 1000) + 1)
    assert apply_blocks() == 1
    entry = stored_entry(scoped)
    assert entry is not None
    assert entry.blocked == {ASKED_ID, entry_id(PARTITION, "Who reports scope 1 emissions?")}


@pytest.mark.parametrize("layer", [Layer.EXACT, Layer.FLIGHT])
def test_an_answer_that_is_wrong_for_its_own_text_is_removed_and_blocks_nothing(
    scoped: Organization, commits: Committing, layer: Layer
) -> None:
    make_entry(scoped)
    with commits():
        submit_report(make_hit(scoped, layer=layer, similarity=1.0), correct=False)
    assert stored_entry(scoped) is None
    assert blocks_of(scoped.pk, ENTRY) == Blocks(frozenset(), 0.0)
    assert not is_wrong_pair(scoped.pk, ENTRY, ENTRY)


def test_reporting_a_hit_without_its_text_removes_the_entry(scoped: Organization, commits: Committing) -> None:
    make_entry(scoped)
    with commits():
        submit_report(make_hit(scoped, ""), correct=False)
    assert stored_entry(scoped) is None
    assert not JudgedPair.objects.exists()


def test_judging_a_wrong_hit_right_removes_the_block(scoped: Organization, commits: Committing) -> None:
    make_entry(scoped)
    hit = make_hit(scoped)
    with commits():
        submit_report(hit, correct=False)
    with commits():
        judge(organization_id=scoped.pk, hit_id=hit.id, is_right=True, actor="user:admin")
    assert stored_entry(scoped) is None, "the stored copy still contains the block"
    assert blocks_of(scoped.pk, ENTRY) == Blocks(frozenset(), 0.0)
    pair = JudgedPair.objects.get()
    assert (pair.is_right, pair.judged_by) == (True, JudgedBy.REVIEW)
    assert list(AuditEvent.objects.order_by("at", "id").values_list("changes", flat=True))[-1] == {
        "judgement": ["wrong", "right"]
    }


def test_judgments_survive_an_unavailable_redis(scoped: Organization, commits: Committing, settings: Settings) -> None:
    make_entry(scoped)
    url, hit = settings.REDIS_URL, make_hit(scoped)
    settings.REDIS_URL = AWAY
    with commits():
        submit_report(hit, correct=False)
    assert is_wrong_pair(scoped.pk, ENTRY, ASKED_ID)
    settings.REDIS_URL = url
    entry = stored_entry(scoped)
    assert entry is not None
    assert entry.blocked == frozenset(), "the entry already has its block"
    for _ in range(2):
        assert apply_blocks() == 1
    entry = stored_entry(scoped)
    assert entry is not None
    assert (entry.blocked, entry.bar) == (frozenset({ASKED_ID}), 0.93)


def restored(organization: Organization) -> Entry:
    """Store another answer to the question; returns the new entry."""
    cache_key = CacheKey(organization.pk, PARTITION, ENTRY, "the question of the entry", "minilm", by_meaning=True)
    response = {"role": "assistant", "content": "A new answer.", "finishReason": "stop"}
    assert store_answer(cache_key, NewEntry(response, TokenUsage(input=1, output=2), "deepseek", "deepseek-chat"))
    entry = stored_entry(organization)
    assert entry is not None
    assert entry.response["content"] == "A new answer."
    return entry


def test_a_restored_entry_gets_its_earlier_blocks(scoped: Organization, commits: Committing) -> None:
    """The judgments were made while the entry was not in the cache."""
    table, where = "Which table for scope 1?", "Where is scope 1 reported?"
    with commits():
        submit_report(make_hit(scoped), correct=False)
        submit_report(make_hit(scoped, table, similarity=0.88), correct=False)
        submit_report(make_hit(scoped, where, similarity=0.97), correct=True)
    wrong = frozenset({ASKED_ID, entry_id(PARTITION, table)})
    assert blocks_of(scoped.pk, ENTRY) == Blocks(wrong, 0.93)
    assert is_wrong_pair(scoped.pk, ENTRY, ASKED_ID)
    assert not is_wrong_pair(scoped.pk, ENTRY, entry_id(PARTITION, where))
    entry = restored(scoped)
    assert (entry.blocked, entry.bar) == (wrong, 0.93)


def test_a_restored_entry_can_answer_its_own_text(scoped: Organization, commits: Committing) -> None:
    with commits():
        submit_report(make_hit(scoped, layer=Layer.EXACT, similarity=1.0), correct=False)
    entry = restored(scoped)
    assert (entry.blocked, entry.bar) == (frozenset(), 0.0)


def test_an_unjudged_entry_is_stored_without_blocks(
    scoped: Organization, other_organization: Organization, commits: Committing
) -> None:
    with commits():
        with organization_scope(other_organization.pk):
            submit_report(make_hit(other_organization), correct=False)
        submit_report(make_hit(scoped, entry_id="f" * 32), correct=False)
    entry = restored(scoped)
    assert (entry.blocked, entry.bar) == (frozenset(), 0.0)


def test_only_a_hit_of_that_request_on_that_entry_can_be_reported(
    scoped: Organization, other_organization: Organization
) -> None:
    hit, foreign = make_hit(scoped), make_hit(other_organization)
    for entry, request in ((ENTRY, uuid4()), ("f" * 32, hit.id), (ENTRY, foreign.id)):
        with pytest.raises(UnknownHitError):
            report(organization_id=scoped.pk, entry_id=entry, request_id=request, correct=False, actor="user:x")
    with pytest.raises(UnknownHitError):
        judge(organization_id=scoped.pk, hit_id=foreign.id, is_right=False, actor="user:x")
    assert not JudgedPair.objects.exists()


def test_another_organizations_entry_is_unchanged(
    scoped: Organization, other_organization: Organization, commits: Committing
) -> None:
    make_entry(other_organization)
    with commits():
        submit_report(make_hit(scoped), correct=False)
    with organization_scope(other_organization.pk):
        assert blocks_of(other_organization.pk, ENTRY).question_ids == frozenset()
    entry = stored_entry(other_organization)
    assert entry is not None
    assert entry.blocked == frozenset()


def test_a_sampled_pair_represents_unsampled_hits(scoped: Organization, commits: Committing) -> None:
    CachePolicy.objects.create(organization=scoped, reask_share=0.05)
    with commits():
        submit_report(make_hit(scoped, reask=True, reasked_at=timezone.now()), correct=False)
    assert JudgedPair.objects.get().weight == 20
