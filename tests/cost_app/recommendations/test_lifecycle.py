"""The life of a recommendation: computed, applied, undone, dismissed, and expired."""

from datetime import timedelta

import pytest

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import (
    Attempt,
    OptimizationRule,
    Recommendation,
    RecommendationKind,
    RecommendationState,
    RequestClass,
)
from cost_app.recommendations import compute, lifecycle
from cost_app.recommendations.compute import compute_recommendations, expire_stale
from tests.cost_app.recommendations.conftest import NOW, Traffic

State = RecommendationState
ACTOR = "user:finance"


@pytest.fixture
def computed(traffic: Traffic, organization: Organization, scope: None) -> Recommendation:
    """A recommendation of a cheaper model, computed at `NOW`."""
    traffic(400, request_class=RequestClass.SIMPLE)
    compute_recommendations(organization.pk, NOW)
    return Recommendation.objects.get(kind=RecommendationKind.CHEAPER_MODEL)


def recompute(organization: Organization, days: int = 1) -> None:
    compute_recommendations(organization.pk, NOW + timedelta(days=days))


def test_recomputing_refreshes_the_open_recommendation(computed: Recommendation, organization: Organization) -> None:
    recompute(organization)

    refreshed = Recommendation.objects.get()
    assert (refreshed.pk, refreshed.state, refreshed.computed_at) == (computed.pk, State.OPEN, NOW + timedelta(days=1))
    assert refreshed.monthly_nano < computed.monthly_nano  # one of the 30 days is no longer in the sample


def test_an_unconfirmed_recommendation_expires(computed: Recommendation, organization: Organization) -> None:
    Attempt.objects.all().delete()
    recompute(organization)

    assert Recommendation.objects.get().state == State.EXPIRED


def test_a_recommendation_expires_after_14_days_without_computation(
    computed: Recommendation, organization: Organization
) -> None:
    assert expire_stale(organization.pk, NOW + timedelta(days=14)) == 0
    assert expire_stale(organization.pk, NOW + timedelta(days=14, seconds=1)) == 1
    assert Recommendation.objects.get().state == State.EXPIRED


def test_expired_recommendation_that_applies_again_is_a_new_one(
    computed: Recommendation, organization: Organization
) -> None:
    Recommendation.objects.update(state=State.EXPIRED)
    recompute(organization)

    assert list(Recommendation.objects.order_by("id").values_list("state", flat=True)) == [State.EXPIRED, State.OPEN]


def test_applying_creates_a_rule_and_stores_the_estimate(computed: Recommendation, organization: Organization) -> None:
    rule = lifecycle.apply(recommendation=computed, actor=ACTOR)
    Attempt.objects.all().delete()
    recompute(organization)

    assert rule is not None
    assert (rule.terms, rule.by, rule.ended_at) == (computed.rule_terms, ACTOR, None)
    applied = Recommendation.objects.get()
    assert (applied.state, applied.decided_by, applied.monthly_nano) == (State.APPLIED, ACTOR, computed.monthly_nano)
    event = AuditEvent.objects.get()
    assert (event.verb, event.changes["state"]) == ("recommendation.apply", ["open", "applied"])


def test_applying_a_manual_recommendation_creates_no_rule(computed: Recommendation) -> None:
    Recommendation.objects.update(kind=RecommendationKind.BATCH, rule_terms={})

    assert lifecycle.apply(recommendation=computed, actor=ACTOR) is None
    assert not OptimizationRule.objects.exists()
    assert Recommendation.objects.get().state == State.APPLIED


def test_undoing_ends_the_rule_and_reopens_the_recommendation(computed: Recommendation) -> None:
    lifecycle.apply(recommendation=computed, actor=ACTOR)
    lifecycle.undo(recommendation=computed, actor="user:owner")

    rule = OptimizationRule.objects.get()
    assert rule.ended_at is not None
    assert rule.ended_by == "user:owner"
    reopened = Recommendation.objects.get()
    assert (reopened.state, reopened.decided_at, reopened.decided_by) == (State.OPEN, None, "")

    lifecycle.apply(recommendation=computed, actor=ACTOR)
    assert OptimizationRule.objects.filter(ended_at=None).count() == 1


def test_a_dismissed_recommendation_returns_if_its_saving_doubles(
    computed: Recommendation, organization: Organization, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle.timezone, "now", lambda: NOW)
    lifecycle.dismiss(recommendation=computed, reason="quality matters here", actor=ACTOR)
    recompute(organization)
    assert Recommendation.objects.get().dismissed_because == "quality matters here"

    with system_scope():
        traffic(900, request_class=RequestClass.SIMPLE)
    recompute(organization)
    assert Recommendation.objects.filter(state=State.OPEN).count() == 1


def test_a_dismissed_recommendation_returns_after_90_days(computed: Recommendation, organization: Organization) -> None:
    lifecycle.dismiss(recommendation=computed, reason="not now", actor=ACTOR)
    Recommendation.objects.update(decided_at=NOW - timedelta(days=90))
    recompute(organization, days=0)

    assert Recommendation.objects.filter(state=State.OPEN).count() == 1


def test_undoing_a_dismissal_never_leaves_two_open_recommendations(
    computed: Recommendation, organization: Organization
) -> None:
    lifecycle.dismiss(recommendation=computed, reason="not now", actor=ACTOR)
    Recommendation.objects.update(decided_at=NOW - timedelta(days=90))
    recompute(organization, days=0)
    lifecycle.undo(recommendation=computed, actor=ACTOR)

    assert Recommendation.objects.filter(state=State.OPEN).count() == 1
    assert Recommendation.objects.get(pk=computed.pk).state == State.EXPIRED


@pytest.mark.parametrize("state", [State.APPLIED, State.DISMISSED, State.EXPIRED])
def test_only_open_recommendations_can_be_applied_or_dismissed(computed: Recommendation, state: State) -> None:
    Recommendation.objects.update(state=state)

    with pytest.raises(lifecycle.WrongStateError):
        lifecycle.apply(recommendation=computed, actor=ACTOR)
    with pytest.raises(lifecycle.WrongStateError):
        lifecycle.dismiss(recommendation=computed, reason="no", actor=ACTOR)


@pytest.mark.parametrize("state", [State.OPEN, State.EXPIRED])
def test_only_decided_recommendations_can_be_undone(computed: Recommendation, state: State) -> None:
    Recommendation.objects.update(state=state)

    with pytest.raises(lifecycle.WrongStateError):
        lifecycle.undo(recommendation=computed, actor=ACTOR)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 19, "4711"])
def test_an_invalid_id_is_not_found(scope: None, text: str) -> None:
    assert lifecycle.recommendation_by_id(text) is None


def test_recommendations_of_other_organizations_are_not_found(
    computed: Recommendation, other_organization: Organization
) -> None:
    with organization_scope(other_organization.pk):
        assert lifecycle.recommendation_by_id(computed.pk) is None


def test_job_continues_after_a_failing_organization(
    organization: Organization, other_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def compute_one(organization_id: int) -> None:
        seen.append(organization_id)
        raise RuntimeError("broken")

    monkeypatch.setattr(compute, "compute_recommendations", compute_one)
    compute.compute_all()

    assert seen == sorted([organization.pk, other_organization.pk])
