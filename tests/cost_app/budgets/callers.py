"""API clients that set budgets."""

import json
from typing import Any

import pytest
from django.http import HttpResponse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from tests.api.support import Caller, new_key

COST = "/api/ai/cost"
BUDGET = {"action": "set-budget", "period": "daily", "limit": "12.50"}
AHEAD = "2099-01-01T00:00:00Z"


@pytest.fixture
def program(organization: Organization) -> Caller:
    """A client with a finance role's API key."""
    return Caller(key=new_key(organization, Role.FINANCE))


def body_of(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content)
    return body


def set_to(caller: Caller, **fields: Any) -> dict[str, Any]:
    return body_of(caller.post(COST, {**BUDGET, **fields}))


def listed(caller: Caller) -> list[dict[str, Any]]:
    budgets: list[dict[str, Any]] = body_of(caller.get(COST, action="budgets"))["budgets"]
    return budgets
