"""`/api/ai/cost`: one table of the operations of all parts. And `/api/ai/exports`, which returns files."""

from aiinfra.api import Endpoint
from cost_app.alerts.api import OPERATIONS as ALERTS
from cost_app.budgets.api import OPERATIONS as BUDGETS
from cost_app.finance.api import OPERATIONS as FINANCE
from cost_app.finance.api import exports
from cost_app.recommendations.api import OPERATIONS as ADVICE
from cost_app.spend.api import OPERATIONS as METRICS

__all__ = ["cost", "exports"]

cost = Endpoint({**METRICS, **BUDGETS, **ALERTS, **ADVICE, **FINANCE})
