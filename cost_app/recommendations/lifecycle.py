"""Apply, undo and dismiss recommendations."""

from django.db import transaction
from django.utils import timezone

from aiinfra.failures import WrongStateError
from aiinfra.row_ids import is_row_id
from aiinfra.tenants.audit import record
from cost_app.models import OptimizationRule, Recommendation, RecommendationState
from cost_app.recommendations.rules import CHANGES


def recommendation_by_id(recommendation_id: int | str) -> Recommendation | None:
    """The scoped organization's recommendation, or None."""
    text = str(recommendation_id)
    if not is_row_id(text):
        return None
    return Recommendation.objects.filter(id=int(text)).first()


def makes_rule(recommendation: Recommendation) -> bool:
    """Whether applying it changes calls; otherwise people must act, and it is only marked as done."""
    return bool(recommendation.rule_terms) and recommendation.kind in CHANGES


@transaction.atomic
def apply(*, recommendation: Recommendation, actor: str) -> OptimizationRule | None:
    """Apply an open recommendation: its rule affects the next call.

    Returns None if no rule can implement it and people must act: then it is only marked as applied. Raises
    WrongStateError.
    """
    found = _locked(recommendation, RecommendationState.OPEN)
    _move(found, RecommendationState.APPLIED, actor)
    rule = None
    if makes_rule(found):
        rule = OptimizationRule.objects.create(
            organization_id=found.organization_id,
            recommendation=found,
            kind=found.kind,
            terms=found.rule_terms,
            by=actor,
        )
    _log(found, "recommendation.apply", actor, RecommendationState.OPEN, rule)
    return rule


@transaction.atomic
def undo(*, recommendation: Recommendation, actor: str) -> None:
    """Reopen an applied or dismissed recommendation and end its rule. Raises WrongStateError.

    If the same recommendation is already open under another ID, this one is closed as expired, its rule ended.
    """
    found = _locked(recommendation, RecommendationState.APPLIED, RecommendationState.DISMISSED)
    before = RecommendationState(found.state)
    rules = OptimizationRule.objects.filter(recommendation=found, ended_at=None)
    rules.update(ended_at=timezone.now(), ended_by=actor)
    twin = Recommendation.objects.filter(
        organization_id=found.organization_id, kind=found.kind, subject=found.subject, state=RecommendationState.OPEN
    )
    found.dismissed_because = ""
    _move(found, RecommendationState.EXPIRED if twin.exists() else RecommendationState.OPEN, actor)
    _log(found, "recommendation.undo", actor, before)


@transaction.atomic
def dismiss(*, recommendation: Recommendation, reason: str, actor: str) -> None:
    """Dismiss an open recommendation with a reason. It is not repeated for 90 days unless its savings have doubled.

    Raises WrongStateError.
    """
    found = _locked(recommendation, RecommendationState.OPEN)
    found.dismissed_because = reason
    _move(found, RecommendationState.DISMISSED, actor)
    _log(found, "recommendation.dismiss", actor, RecommendationState.OPEN)


def _locked(recommendation: Recommendation, *states: RecommendationState) -> Recommendation:
    found = Recommendation.objects.select_for_update().get(id=recommendation.id)
    if found.state not in states:
        raise WrongStateError(f"This recommendation is already {found.state}.")
    return found


def _move(found: Recommendation, state: RecommendationState, actor: str) -> None:
    is_open = state == RecommendationState.OPEN
    found.state = state
    found.decided_at, found.decided_by = (None, "") if is_open else (timezone.now(), actor)
    found.save(update_fields=["state", "decided_at", "decided_by", "dismissed_because"])


def _log(
    found: Recommendation, verb: str, actor: str, before: RecommendationState, rule: OptimizationRule | None = None
) -> None:
    changes = {"state": [before.value, found.state]}
    if found.dismissed_because:
        changes["reason"] = ["", found.dismissed_because]
    if rule:
        changes["rule"] = ["", str(rule.terms)]
    record(
        organization_id=found.organization_id,
        actor=actor,
        verb=verb,
        target=f"recommendation {found.id}: {found.title}",
        changes=changes,
    )
