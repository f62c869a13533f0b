"""Recommendations that exist without underlying traffic."""

import uuid
from typing import Any

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Recommendation, RecommendationKind
from cost_app.recommendations import lifecycle

ROUTE = {"model": "openai/gpt-4", "to": "deepseek/deepseek-chat"}
EVIDENCE = {
    "formula": "What they cost, less what they would have cost.",
    "sample": {"calls": 400, "bearing": 400, "days": 30, "from": "2026-10-21T12:00:00Z", "to": "2026-11-20T12:00:00Z"},
    "figures": [
        {"label": "requests", "value": 400, "unit": "calls"},
        {"label": "what they cost", "value": 8_000_000_000, "unit": "nano"},
    ],
}


def make_recommendation(organization: Organization, **columns: Any) -> Recommendation:
    """Create an open recommendation with these columns."""
    defaults = {
        "kind": RecommendationKind.CHEAPER_MODEL,
        "subject": str(uuid.uuid4()),
        "title": "Route simple openai/gpt-4 requests to deepseek/deepseek-chat",
        "description": "400 of 500 requests were simple.",
        "monthly_nano": 30_000_000_000,
        "percent": 40,
        "confidence": "high",
        "difficulty": "easy",
        "steps": ["Compare a few answers.", "Apply."],
        "evidence": EVIDENCE,
        "rule_terms": ROUTE,
    }
    with organization_scope(organization.pk):
        return Recommendation.objects.create(organization_id=organization.pk, **{**defaults, **columns})


def make_applied(organization: Organization) -> Recommendation:
    """Create an applied recommendation."""
    recommendation = make_recommendation(organization)
    with organization_scope(organization.pk):
        lifecycle.apply(recommendation=recommendation, actor="command:test")
    return recommendation
