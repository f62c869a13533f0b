"""The JSON operations of recommendations."""

from collections.abc import Callable
from typing import Any

from aiinfra.api import ApiCall, Operation
from aiinfra.failures import ApiError, WrongStateError, not_found
from aiinfra.money import dollars
from cost_app.models import Recommendation, RecommendationState
from cost_app.recommendations import lifecycle
from cost_app.recommendations.payloads import (
    ChoiceOut,
    ChoiceQuery,
    DismissRecommendation,
    EvidenceOut,
    FigureOut,
    ImplementationOut,
    OptionOut,
    RealizedSavingsOut,
    RecommendationOut,
    RecommendationReference,
    RecommendationsOut,
    RecommendationsQuery,
    SampleOut,
    SavingsOut,
)
from cost_app.recommendations.provider_choice import NoModelError, Option, get_optimal_provider
from cost_app.recommendations.realised import RuleSavings
from cost_app.recommendations.screens import RecommendationRow, recommendation_row, recommendation_rows


def get_recommendations(_call: ApiCall, payload: RecommendationsQuery) -> RecommendationsOut:
    """The organization's recommendations in one state."""
    return recommendation_list(payload)


def recommendation_list(payload: RecommendationsQuery) -> RecommendationsOut:
    """The recommendations of the organization in scope, in one state."""
    rows = recommendation_rows(RecommendationState(payload.status))
    return RecommendationsOut(recommendations=[recommendation_out(row) for row in rows])


def get_provider_recommendation(call: ApiCall, payload: ChoiceQuery) -> ChoiceOut:
    """Which model to use for a kind of request."""
    try:
        return choice_out(call.principal.organization_id, payload)
    except NoModelError as error:
        raise ApiError(404, "no_model", str(error)) from None


def choice_out(organization_id: int, payload: ChoiceQuery) -> ChoiceOut:
    """The best model and the alternatives, in the organization's scope. Raises NoModelError."""
    choice = get_optimal_provider(organization_id, payload.request_type, payload.priority)
    return ChoiceOut(
        **_option(choice.best),
        reasoning=choice.reasoning,
        alternatives=[OptionOut(**_option(each)) for each in choice.alternatives],
        known=list(choice.known),
        assumed=list(choice.assumed),
    )


def apply(call: ApiCall, payload: RecommendationReference) -> RecommendationOut:
    """Apply a recommendation, or mark it for people to act on."""
    return _change(call, payload, lifecycle.apply)


def dismiss(call: ApiCall, payload: DismissRecommendation) -> RecommendationOut:
    """Dismiss a recommendation."""
    return _change(call, payload, lifecycle.dismiss, reason=payload.reason)


def undo(call: ApiCall, payload: RecommendationReference) -> RecommendationOut:
    """Reopen an applied or dismissed recommendation."""
    return _change(call, payload, lifecycle.undo)


def _change(
    call: ApiCall, payload: RecommendationReference, change: Callable[..., object], **arguments: str
) -> RecommendationOut:
    found = lifecycle.recommendation_by_id(payload.recommendation_id)
    if found is None:
        raise not_found()
    try:
        change(recommendation=found, actor=call.principal.actor, **arguments)
    except WrongStateError as error:
        raise ApiError(409, "wrong_status", str(error), param="recommendationId") from None
    return recommendation_out(recommendation_row(found.id))


def recommendation_out(row: RecommendationRow) -> RecommendationOut:
    """A recommendation in the API's format."""
    each: Recommendation = row.recommendation
    evidence = each.evidence
    return RecommendationOut(
        id=str(each.id),
        type=each.kind,
        title=each.title,
        description=each.description,
        estimated_savings=SavingsOut(monthly=dollars(each.monthly_nano), percentage=each.percent),
        implementation=ImplementationOut.model_validate(
            {"difficulty": each.difficulty, "steps": each.steps, "rule": bool(each.rule_terms)}
        ),
        evidence=EvidenceOut(
            formula=evidence["formula"],
            sample=SampleOut.model_validate(evidence["sample"]),
            figures=[_figure(figure) for figure in evidence["figures"]],
        ),
        confidence=each.confidence,
        status=each.state,
        computed_at=each.computed_at,
        decided_at=each.decided_at,
        decided_by=each.decided_by,
        dismissed_because=each.dismissed_because,
        realised=_realised(row.realised) if row.realised else None,
    )


def _figure(figure: dict[str, Any]) -> FigureOut:
    if figure["unit"] == "nano":
        return FigureOut(label=figure["label"], value=dollars(figure["value"]), unit="USD")
    return FigureOut(**figure)


def _realised(realised: RuleSavings) -> RealizedSavingsOut:
    monthly = realised.monthly_nano
    return RealizedSavingsOut(
        requests=realised.requests,
        saved=dollars(realised.rule.saved_nano),
        monthly=None if monthly is None else dollars(monthly),
        percentage_of_promise=realised.percent,
        how=realised.how,
    )


def _option(option: Option) -> dict[str, Any]:
    return {
        "provider": option.provider,
        "model": option.model,
        "estimated_cost": dollars(option.cost_nano),
        "estimated_latency_ms": option.latency_ms,
        "latency_is_measured": option.latency_is_measured,
        "error_rate": None if option.error_percent is None else round(option.error_percent, 2),
        "problems": list(option.problems),
    }


OPERATIONS: dict[tuple[str, str | None], Operation] = {
    ("GET", "recommendations"): Operation(
        get_recommendations, "cost:read", RecommendationsQuery, RecommendationsOut, "List recommendations"
    ),
    ("GET", "provider-recommendation"): Operation(
        get_provider_recommendation, "cost:read", ChoiceQuery, ChoiceOut, "Choose a model for a kind of request"
    ),
    ("POST", "apply-recommendation"): Operation(
        apply, "advice:write", RecommendationReference, RecommendationOut, "Apply a recommendation"
    ),
    ("POST", "dismiss-recommendation"): Operation(
        dismiss, "advice:write", DismissRecommendation, RecommendationOut, "Dismiss a recommendation"
    ),
    ("POST", "undo-recommendation"): Operation(
        undo, "advice:write", RecommendationReference, RecommendationOut, "Undo applying or dismissing"
    ),
}
