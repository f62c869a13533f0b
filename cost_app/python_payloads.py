"""What Python callers give the cost engine where it is grouped otherwise than over HTTP; the rules are the same."""

from aiinfra.api import ApiModel
from cost_app.budgets.payloads import SetBudget
from cost_app.spend.payloads import CallFacts, TrackedCallIn


class TrackArguments(TrackedCallIn):
    """A call that was made elsewhere; `metadata` is what else is known of it."""

    metadata: CallFacts = CallFacts()


class BudgetArguments(ApiModel):
    """The budget to make or to change."""

    budget: SetBudget


class AlertsArguments(ApiModel):
    """Which alerts: not acknowledged yet, acknowledged, or with None both."""

    acknowledged: bool | None = False
