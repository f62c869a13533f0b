"""Arguments of Python callers that are grouped differently than over HTTP. They are validated by the same rules."""

from aiinfra.api import ApiModel
from cost_app.budgets.payloads import SetBudget
from cost_app.spend.payloads import CallFacts, TrackedCallIn


class TrackArguments(TrackedCallIn):
    """A call made outside aiinfra; `metadata` has its other facts."""

    metadata: CallFacts = CallFacts()


class BudgetArguments(ApiModel):
    """The budget to create or change."""

    budget: SetBudget


class AlertsArguments(ApiModel):
    """Which alerts: unacknowledged, acknowledged, or both for None."""

    acknowledged: bool | None = False
