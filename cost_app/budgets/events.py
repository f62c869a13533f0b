"""Publishes budgets as live events, for organizations with a client."""

import logging
from datetime import datetime

from aiinfra.api import ApiModel
from aiinfra.live_events import Draft, EventType, listening, publish
from aiinfra.money import Dollars, dollars
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.payloads import PeriodName, ScopeName
from cost_app.budgets.screens import BudgetRow, budget_rows
from cost_app.models import BudgetScope

logger = logging.getLogger(__name__)


class BudgetEvent(ApiModel):
    """The current period of a budget, with the names of the JSON API's `window`."""

    budget_id: str
    period: PeriodName
    scope: ScopeName
    scope_value: str
    start: datetime
    end: datetime
    limit: Dollars
    spent: Dollars
    held: Dollars
    free: Dollars
    percent: int


def publish_budget_changes() -> None:
    """Publish the budgets whose figures have changed: three queries per organization. Raises RedisError.

    Run once per second, so that reservations show before they are spent. An organization that fails does not stop the
    others.
    """
    for organization_id in listening():
        try:
            with organization_scope(organization_id):
                drafts = [_draft(row) for row in budget_rows(organization_id)]
        except Exception:
            logger.exception("could not publish budgets", extra={"fields": {"organization": organization_id}})
        else:
            publish(organization_id, drafts, if_changed=True)


def _draft(row: BudgetRow) -> Draft:
    budget, usage = row.budget, row.usage
    is_key = budget.scope == BudgetScope.API_KEY
    figures = BudgetEvent.model_validate(
        {
            "budget_id": str(budget.id),
            "period": budget.period,
            "scope": budget.scope,
            "scope_value": row.name.key_id if is_key else budget.scope_value,
            "start": row.window.starts_at,
            "end": row.window.ends_at,
            "limit": dollars(usage.limit_nano),
            "spent": dollars(usage.spent_nano),
            "held": dollars(usage.held_nano),
            "free": dollars(usage.free_nano),
            "percent": usage.percent,
        }
    )
    return Draft(EventType.BUDGET, str(budget.id), figures)
