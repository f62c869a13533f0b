"""Live events of budgets."""

from collections.abc import Callable

import pytest

from aiinfra.live_events import events_after, mark_listening, newest_id
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets import events
from cost_app.budgets.events import BudgetEvent, publish_budget_changes
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.ledger import attempts
from cost_app.models import Attempt, Budget

pytestmark = pytest.mark.usefixtures("redis_url")


def budget_of(organization: Organization, limit_nano: int = 10**9) -> Budget:
    with organization_scope(organization.pk):
        terms = BudgetTerms(period="monthly", limit_nano=limit_nano)
        return set_budget(organization_id=organization.pk, terms=terms, actor="test")


def published(organization: Organization, since: str) -> list[BudgetEvent]:
    events = events_after(organization.pk, since)[0]
    return [BudgetEvent.model_validate_json(each.data) for each in events if each.type == "budget"]


def test_changes_of_held_and_spent_amounts_send_events(
    organization: Organization, open_attempt: Callable[..., Attempt]
) -> None:
    budget_of(organization)
    since = newest_id(organization.pk)
    mark_listening(organization.pk)
    publish_budget_changes()
    publish_budget_changes()
    attempt = open_attempt()
    publish_budget_changes()
    publish_budget_changes()
    with organization_scope(organization.pk):
        attempts.settle(attempt, TokenUsage(input=100, output=10), {})
    publish_budget_changes()
    first, held, spent = published(organization, since)
    assert (first.held, first.spent, first.limit) == ("0.00", "0.00", "1.00")
    assert (held.held != "0.00", held.spent) == (True, "0.00")
    assert (spent.held, spent.spent != "0.00") == ("0.00", True)


def test_a_new_limit_sends_an_event(organization: Organization) -> None:
    budget_of(organization)
    since = newest_id(organization.pk)
    mark_listening(organization.pk)
    publish_budget_changes()
    budget_of(organization, 2 * 10**9)
    publish_budget_changes()
    assert [event.limit for event in published(organization, since)] == ["1.00", "2.00"]


def test_budget_events_stay_in_their_organization(organization: Organization, other_organization: Organization) -> None:
    budget_of(other_organization)
    since = newest_id(organization.pk)
    mark_listening(organization.pk)
    publish_budget_changes()
    assert published(organization, since) == []


def test_a_failing_organization_does_not_stop_others(
    organization: Organization, other_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = newest_id(other_organization.pk)
    for each in (organization, other_organization):
        budget_of(each)
        mark_listening(each.pk)
    rows_of = events.budget_rows

    def rows(organization_id: int) -> object:
        if organization_id == organization.pk:
            raise RuntimeError
        return rows_of(organization_id)

    monkeypatch.setattr(events, "budget_rows", rows)
    publish_budget_changes()
    assert len(published(other_organization, since)) == 1
