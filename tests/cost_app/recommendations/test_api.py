"""Recommendations through the API."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import CostPolicy, Recommendation
from tests.api.support import COST, Caller, new_key, refused
from tests.cost_app.recommendations.support import make_applied, make_recommendation


@pytest.fixture
def finance_program(organization: Organization) -> Caller:
    return Caller(key=new_key(organization, Role.FINANCE))


@pytest.fixture
def post(finance_program: Caller) -> Callable[..., HttpResponse]:
    """Sends an action for a recommendation."""

    def send(action: str, recommendation: Recommendation, **fields: str) -> HttpResponse:
        body = {"action": f"{action}-recommendation", "recommendationId": str(recommendation.pk), **fields}
        return finance_program.post(COST, body)

    return send


def body_of(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content)
    return body


def test_recommendation_has_the_documented_format(finance_program: Caller, organization: Organization) -> None:
    recommendation = make_recommendation(organization)

    (found,) = body_of(finance_program.get(COST, action="recommendations"))["recommendations"]

    assert found["id"] == str(recommendation.pk)
    assert found["type"] == "cheaper_model"
    assert found["estimatedSavings"] == {"monthly": "30.00", "percentage": 40}
    assert found["implementation"] == {
        "difficulty": "easy",
        "steps": ["Compare a few answers.", "Apply."],
        "rule": True,
    }
    assert found["evidence"]["sample"]["from"] == "2026-10-21T12:00:00Z"
    assert found["evidence"]["figures"][1] == {"label": "what they cost", "value": "8.00", "unit": "USD"}
    assert (found["confidence"], found["status"], found["realised"]) == ("high", "open", None)


def test_list_can_be_filtered_by_state(finance_program: Caller, organization: Organization) -> None:
    make_recommendation(organization)
    applied = make_applied(organization)

    found = body_of(finance_program.get(COST, action="recommendations", status="applied"))["recommendations"]

    assert [each["id"] for each in found] == [str(applied.pk)]
    assert found[0]["realised"]["monthly"] is None


def test_apply_undo_and_dismiss_return_the_recommendation(
    post: Callable[..., HttpResponse], organization: Organization
) -> None:
    recommendation = make_recommendation(organization)

    assert body_of(post("apply", recommendation))["status"] == "applied"
    assert body_of(post("undo", recommendation))["status"] == "open"
    dismissed = body_of(post("dismiss", recommendation, reason="too risky"))
    assert (dismissed["status"], dismissed["dismissedBecause"]) == ("dismissed", "too risky")
    assert dismissed["decidedBy"].startswith("key:")


def test_action_in_the_wrong_state_returns_409(post: Callable[..., HttpResponse], organization: Organization) -> None:
    refused(post("undo", make_recommendation(organization)), 409, "recommendationId")


@pytest.mark.parametrize("action", ["apply", "dismiss", "undo"])
def test_unknown_and_foreign_recommendations_return_404(
    post: Callable[..., HttpResponse], other_organization: Organization, action: str
) -> None:
    refused(post(action, make_recommendation(other_organization)), 404)
    refused(post(action, Recommendation(pk="no-number")), 404)


def test_provider_is_recommended(finance_program: Caller, organization: Organization, redis_url: str) -> None:
    choice = body_of(finance_program.get(COST, action="provider-recommendation", requestType="simple", priority="low"))

    assert (choice["provider"], choice["model"]) == ("deepseek", "deepseek-chat")
    assert choice["estimatedCost"] == "0.000154"
    assert choice["alternatives"][0]["estimatedLatencyMs"] > 0
    assert choice["known"] and choice["assumed"] and choice["reasoning"]


def test_request_without_an_allowed_model_returns_404(
    finance_program: Caller, organization: Organization, redis_url: str
) -> None:
    with organization_scope(organization.pk):
        CostPolicy.objects.create(organization=organization, allowed_models=[{"provider": "nobody", "model": "x"}])

    refusal = refused(finance_program.get(COST, action="provider-recommendation", requestType="simple"), 404)

    assert refusal["type"] == "no_model"


def test_unknown_request_type_returns_400(finance_program: Caller) -> None:
    refused(finance_program.get(COST, action="provider-recommendation", requestType="odd"), 400, "requestType")
