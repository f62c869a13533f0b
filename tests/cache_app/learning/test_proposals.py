"""A threshold is proposed only if enough judged pairs support it, and only an admin can apply it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError

from aiinfra.failures import WrongStateError
from aiinfra.redis import redis_client
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.learning.interval import effective, upper_bound
from cache_app.learning.proposals import (
    THRESHOLDS,
    Label,
    apply_proposal,
    dismiss_proposal,
    propose_thresholds,
    smallest_safe,
)
from cache_app.metrics.counts import record
from cache_app.metrics.folding import fold_counts
from cache_app.models import CachePolicy, JudgedBy, JudgedPair, Judgement, ProposalState, ThresholdProposal
from tests.cache_app.learning.made import make_hit, make_pairs

TARGET = 0.02


def labels(number: int, similarity: float, *, is_wrong: bool = False, weight: float = 1.0) -> list[Label]:
    return [Label(similarity, is_wrong, weight)] * number


def propose_on_another_day() -> int:
    for key in redis_client().scan_iter("sc:*:proposed:*"):
        redis_client().delete(key)
    return propose_thresholds()


def open_proposal() -> ThresholdProposal:
    return ThresholdProposal.objects.get(state=ProposalState.OPEN)


def test_without_errors_the_threshold_drops_as_far_as_the_evidence_allows() -> None:
    safe = smallest_safe(labels(200, 0.95) + labels(114, 0.83), 0.85, TARGET)
    assert safe is not None
    assert (safe.threshold, safe.pairs, safe.wrong) == (0.80, 314, 0)


def test_pairs_above_the_current_threshold_are_no_evidence_below_it() -> None:
    safe = smallest_safe(labels(5000, 0.95) + labels(113, 0.83), 0.85, TARGET)
    assert safe is not None
    assert safe.threshold == 0.85


def test_too_many_errors_raise_the_threshold() -> None:
    safe = smallest_safe(labels(120, 0.95) + labels(30, 0.87) + labels(9, 0.87, is_wrong=True), 0.85, TARGET)
    assert safe is not None
    assert (safe.threshold, safe.pairs, safe.wrong) == (0.88, 120, 0)


@pytest.mark.parametrize(("number", "enough"), [(113, False), (114, True)])
def test_a_two_percent_target_needs_114_labels(number: int, enough: bool) -> None:
    assert (smallest_safe(labels(number, 0.90), 0.95, TARGET) is not None) == enough


def test_reports_alone_never_lower_the_threshold() -> None:
    assert smallest_safe(labels(500, 0.9, is_wrong=True), 0.95, 0.2) is None
    assert smallest_safe([], 0.85, 0.2) is None


@given(
    st.lists(
        st.builds(Label, st.floats(0.75, 1.0), st.booleans() | st.just(False), st.sampled_from([1.0, 20.0])),
        max_size=150,
    ),
    st.sampled_from(THRESHOLDS),
    st.sampled_from([0.02, 0.1, 0.2]),
)
def test_the_proposal_is_the_smallest_that_meets_the_target(judged: list[Label], present: float, target: float) -> None:
    def bound(low: float, high: float = 2.0) -> float:
        return upper_bound(*effective((each.is_wrong, each.weight) for each in judged if low <= each.similarity < high))

    safe = smallest_safe(judged, present, target)
    keeps = [t for t in THRESHOLDS if bound(t) <= target and (t >= present or bound(t, present) <= target)]
    assert (safe.threshold if safe else None) == (keeps[0] if keeps else None)
    if safe:
        assert safe.error_upper == bound(safe.threshold) <= target


def test_a_proposal_shows_its_evidence_and_effect(scoped: Organization) -> None:
    make_pairs(scoped, 150, 0.93)
    make_pairs(scoped, 8, 0.86, is_right=False, judged_by=JudgedBy.REPORT)
    record(scoped.pk, {"similarity:92:served": 30, "similarity:86:served": 10, "similarity:86:refused": 7})
    fold_counts()
    assert propose_thresholds() == 1
    proposal = open_proposal()
    assert (proposal.threshold, proposal.before, proposal.error_target) == (0.87, 0.85, 0.02)
    assert (proposal.pairs, proposal.wrong, proposal.hits_kept) == (150, 0, 0.75)
    assert proposal.error_upper == upper_bound(0, 150)


def test_a_lower_threshold_adds_hits(scoped: Organization) -> None:
    make_pairs(scoped, 150, 0.93)
    make_pairs(scoped, 150, 0.82)
    record(scoped.pk, {"similarity:92:served": 40, "similarity:81:below": 20, "similarity:79:below": 99})
    fold_counts()
    assert propose_thresholds() == 1
    assert (open_proposal().threshold, open_proposal().hits_kept) == (0.80, 1.5)


def test_nothing_is_proposed_if_the_current_threshold_is_best(scoped: Organization) -> None:
    CachePolicy.objects.create(organization=scoped, threshold=0.80)
    make_pairs(scoped, 150, 0.93)
    assert propose_thresholds() == 0
    assert not ThresholdProposal.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [{"question_id": F("entry_id")}, {"embedder": "another/1"}, {"at": timezone.now() - timedelta(days=91)}],
)
def test_equal_texts_other_embedders_and_old_pairs_are_ignored(scoped: Organization, changes: dict[str, Any]) -> None:
    make_pairs(scoped, 9, 0.86, is_right=False)
    make_pairs(scoped, 150, 0.93)
    JudgedPair.objects.filter(similarity=0.93).update(**changes)
    assert propose_thresholds() == 0
    make_pairs(scoped, 150, 0.94)
    assert propose_on_another_day() == 1


def test_doubtful_hits_count_as_wrong_until_judged(scoped: Organization) -> None:
    CachePolicy.objects.create(organization=scoped, threshold=0.95)
    make_pairs(scoped, 120, 0.93)
    hit = make_hit(scoped, similarity=0.97, judgement=Judgement.DOUBTFUL)
    assert propose_thresholds() == 0
    hit.judgement = Judgement.RIGHT
    hit.save()
    assert propose_on_another_day() == 1


def test_proposals_are_computed_once_per_day(scoped: Organization) -> None:
    make_pairs(scoped, 150, 0.93)
    make_pairs(scoped, 9, 0.86, is_right=False)
    assert [propose_thresholds(), propose_thresholds()] == [1, 0]
    ThresholdProposal.objects.all().delete()
    assert propose_thresholds() == 0
    assert propose_on_another_day() == 1


def test_a_new_proposal_replaces_the_open_one(scoped: Organization) -> None:
    make_pairs(scoped, 150, 0.93)
    make_pairs(scoped, 9, 0.86, is_right=False)
    propose_thresholds()
    assert propose_on_another_day() == 0, "the same proposal is already open"
    make_pairs(scoped, 9, 0.88, is_right=False)
    assert propose_on_another_day() == 1
    assert open_proposal().threshold == 0.89
    assert ThresholdProposal.objects.filter(state=ProposalState.REPLACED).count() == 1


def test_without_redis_nothing_is_proposed(scoped: Organization, settings: Settings) -> None:
    make_pairs(scoped, 150, 0.93)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(RedisError):
        propose_thresholds()


def test_applying_a_proposal_sets_the_threshold(scoped: Organization) -> None:
    make_pairs(scoped, 150, 0.93)
    make_pairs(scoped, 9, 0.86, is_right=False)
    propose_thresholds()
    proposal = apply_proposal(organization_id=scoped.pk, proposal_id=open_proposal().pk, actor="user:admin")
    assert (proposal.state, proposal.decided_by) == (ProposalState.APPLIED, "user:admin")
    assert CachePolicy.objects.get().threshold == 0.87
    verbs = set(AuditEvent.objects.values_list("verb", flat=True))
    assert verbs == {"cache_threshold.applied", "cache_policy.changed"}
    for again in (apply_proposal, dismiss_proposal):
        with pytest.raises(WrongStateError):
            again(organization_id=scoped.pk, proposal_id=proposal.pk, actor="user:admin")
    assert propose_on_another_day() == 0


def test_a_dismissed_proposal_is_not_repeated_for_a_while(scoped: Organization) -> None:
    make_pairs(scoped, 150, 0.93)
    make_pairs(scoped, 9, 0.86, is_right=False)
    propose_thresholds()
    proposal = dismiss_proposal(organization_id=scoped.pk, proposal_id=open_proposal().pk, actor="user:admin")
    assert not CachePolicy.objects.exists()
    assert propose_on_another_day() == 0
    proposal.decided_at = timezone.now() - timedelta(days=31)
    proposal.save()
    assert propose_on_another_day() == 1


def test_another_organizations_proposal_is_not_found(scoped: Organization, other_organization: Organization) -> None:
    with organization_scope(other_organization.pk):
        make_pairs(other_organization, 150, 0.93)
        make_pairs(other_organization, 9, 0.86, is_right=False)
        propose_thresholds()
        foreign = open_proposal()
    with pytest.raises(ThresholdProposal.DoesNotExist):
        apply_proposal(organization_id=scoped.pk, proposal_id=foreign.pk, actor="user:x")
    assert not ThresholdProposal.objects.exists()


def test_the_number_of_queries_does_not_depend_on_the_number_of_pairs(scoped: Organization) -> None:
    numbers = []
    for pairs in (1, 40):
        make_pairs(scoped, pairs, 0.9)
        with CaptureQueriesContext(connection) as queries:
            propose_on_another_day()
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]
