"""Rechecks of hits: sampling, the daily budget, and comparison of the answers."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.embedding.base import EmbedderError, Payer, Scale, Vector
from cache_app.learning import sampling
from cache_app.learning.judging import judge
from cache_app.learning.sampling import claim_due_rechecks, compare, give_up, is_sampled, uncompared
from cache_app.models import CacheHit, CachePolicy, JudgedBy, JudgedPair, Judgement, Layer
from cache_app.policy import policy_of
from tests.cache_app.learning.made import make_hit
from tests.support.race import RunRace

FRESH = "It stands in table one."


class Scripted:
    """Embeds every text with the chosen cosine to the served answer, or fails."""

    id, dimensions, scale = "scripted/1", 2, Scale(edge=0.85, clear=0.9, near=0.75)
    cosine: float | None = 0.95

    def prepare(self) -> None:
        """Nothing to load."""

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:  # noqa: ARG002 - free
        if self.cosine is None:
            raise EmbedderError("out of order")
        turned = [self.cosine, (1 - self.cosine**2) ** 0.5]
        return [np.array([1, 0] if text == "In the first table." else turned, dtype=np.float32) for text in texts]


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    scripted = Scripted()
    monkeypatch.setattr(sampling, "configured_embedder", lambda: scripted)
    yield scripted


def allow(organization: Organization, nano: int, share: float = 0.2) -> CachePolicy:
    return CachePolicy.objects.create(organization=organization, reask_share=share, reask_day_nano=nano)


def due(limit: int = 100) -> list[CacheHit]:
    with system_scope():
        return claim_due_rechecks(limit)


def compared(hit: CacheHit, fresh_answer: str = FRESH) -> CacheHit:
    return compare(organization_id=hit.organization_id, hit_id=hit.id, fresh_answer=fresh_answer)


def test_nothing_is_sampled_by_default(scoped: Organization) -> None:
    policy = policy_of(scoped.pk)
    with CaptureQueriesContext(connection) as queries:
        assert not any(is_sampled(policy, scoped.pk) for _ in range(100))
    assert len(queries) == 0


def test_the_share_of_hits_is_sampled_at_random(scoped: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = allow(scoped, 10**9, share=0.2)
    monkeypatch.setattr(random, "random", random.Random(7).random)
    assert 150 < sum(is_sampled(policy, scoped.pk) for _ in range(1000)) < 250


def test_nothing_is_sampled_once_the_daily_budget_is_spent(
    scoped: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = allow(scoped, 300)
    monkeypatch.setattr(random, "random", lambda: 0.0)
    make_hit(scoped, reask=True, saved_nano=1000, at=timezone.now() - timedelta(days=2))
    make_hit(scoped, reask=True, saved_nano=299)
    assert is_sampled(policy, scoped.pk)
    make_hit(scoped, reask=True, saved_nano=1)
    assert not is_sampled(policy, scoped.pk)


def test_claimed_rechecks_never_exceed_the_daily_budget(scoped: Organization) -> None:
    allow(scoped, 250)
    for saved_nano in (300, 100, 200, 100, 50, 1):
        make_hit(scoped, reask=True, saved_nano=saved_nano)
    taken = due(1) + due()
    assert [hit.saved_nano for hit in taken] == [100, 100, 50]
    assert len({hit.id for hit in taken}) == 3
    assert due() == []
    assert all(hit.reasked_at for hit in taken)


def test_only_todays_sampled_hits_are_claimed(scoped: Organization, other_organization: Organization) -> None:
    allow(scoped, 10**9)
    make_hit(scoped)
    make_hit(scoped, reask=True, shadow=True)
    make_hit(scoped, reask=True, at=timezone.now() - timedelta(days=2))
    make_hit(other_organization, reask=True)
    chosen = make_hit(scoped, reask=True)
    assert due() == [chosen]


def test_an_agreeing_answer_makes_the_hit_right(scoped: Organization, embedder: Scripted) -> None:
    allow(scoped, 10**9, share=0.1)
    hit = compared(make_hit(scoped, reasked_at=timezone.now()))
    assert (hit.judgement, hit.judged_by, hit.fresh_answer) == (Judgement.RIGHT, JudgedBy.REASK, FRESH)
    assert hit.agreement == pytest.approx(0.95)
    pair = JudgedPair.objects.get()
    assert (pair.is_right, pair.judged_by, pair.weight) == (True, JudgedBy.REASK, 10)


@pytest.mark.parametrize("cosine", [0.8999, 0.8, 0.74, -0.2])
def test_a_different_answer_makes_the_hit_doubtful(scoped: Organization, embedder: Scripted, cosine: float) -> None:
    embedder.cosine = cosine
    hit = compared(make_hit(scoped))
    assert hit.judgement == Judgement.DOUBTFUL
    assert hit.agreement == pytest.approx(cosine)
    assert not JudgedPair.objects.exists()


def test_a_different_number_makes_the_hit_doubtful(scoped: Organization, embedder: Scripted) -> None:
    assert compared(make_hit(scoped), "It stands in table 1.").judgement == Judgement.DOUBTFUL


@pytest.mark.parametrize(("answer", "fresh"), [("", FRESH), ("In the first table.", "  ")])
def test_an_empty_answer_never_agrees(scoped: Organization, embedder: Scripted, answer: str, fresh: str) -> None:
    hit = compared(make_hit(scoped, answer=answer), fresh)
    assert (hit.judgement, hit.agreement) == (Judgement.DOUBTFUL, None)


def test_a_hit_is_doubtful_if_the_embedder_fails(scoped: Organization, embedder: Scripted) -> None:
    embedder.cosine = None
    hit = compared(make_hit(scoped))
    assert (hit.judgement, hit.agreement, hit.fresh_answer) == (Judgement.DOUBTFUL, None, FRESH)


def test_shadow_hits_are_compared_and_count_once(scoped: Organization, embedder: Scripted) -> None:
    allow(scoped, 10**9, share=0.1)
    hit = compared(make_hit(scoped, shadow=True))
    assert (hit.judgement, hit.judged_by) == (Judgement.RIGHT, JudgedBy.SHADOW)
    assert JudgedPair.objects.get().weight == 1


def test_a_persons_judgment_is_kept(scoped: Organization, embedder: Scripted) -> None:
    reported = make_hit(scoped)
    judge(organization_id=scoped.pk, hit_id=reported.id, is_right=False, actor="user:x")
    twin = make_hit(scoped)
    assert compared(reported).judgement == Judgement.WRONG
    assert compared(twin).judgement == Judgement.RIGHT
    assert not JudgedPair.objects.get().is_right


def test_exact_hits_can_be_compared(scoped: Organization, embedder: Scripted) -> None:
    hit = compared(make_hit(scoped, layer=Layer.EXACT, similarity=1.0))
    assert hit.judgement == Judgement.RIGHT


@pytest.mark.usefixtures("embedder")
def test_another_organizations_hit_is_not_found(scoped: Organization, other_organization: Organization) -> None:
    foreign = make_hit(other_organization)
    with organization_scope(scoped.pk), pytest.raises(CacheHit.DoesNotExist):
        compare(organization_id=scoped.pk, hit_id=foreign.id, fresh_answer=FRESH)


def test_a_rechecked_hit_is_compared_once(scoped: Organization, embedder: Scripted) -> None:
    make_hit(scoped, reask=True)
    shadow = make_hit(scoped, shadow=True, at=timezone.now() - timedelta(minutes=1))
    asked, hopeless = (make_hit(scoped, reasked_at=timezone.now()) for _ in range(2))
    make_hit(scoped, shadow=True, at=timezone.now() - timedelta(days=2))
    with system_scope():
        assert {hit.id for hit in uncompared(10)} == {shadow.id, asked.id, hopeless.id}
        assert [hit.id for hit in uncompared(1)] == [shadow.id]
    compared(shadow)
    compared(asked)
    give_up(organization_id=scoped.pk, hit_id=hopeless.id)
    with system_scope():
        assert uncompared(10) == []


@pytest.mark.django_db(transaction=True)
def test_concurrent_processes_claim_each_hit_once_within_the_budget(
    organization: Organization, run_race: RunRace
) -> None:
    with organization_scope(organization.pk):
        allow(organization, 3_000)
        for _ in range(60):
            make_hit(organization, reask=True)
    printed = run_race("tests.cache_app.learning.racers", [("take", "")] * 3)
    taken = [hit_id for lines in printed for hit_id in lines]
    assert len(taken) == len(set(taken)) == 30
