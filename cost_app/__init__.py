"""Prices, ledger, budgets, alerts and recommendations. `create_cost_optimizer` is the entry point for other code."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cost_app.facade import CostOptimizer


def create_cost_optimizer() -> "CostOptimizer":
    """The cost engine. Imported late, because Django loads this package before its models."""
    from cost_app.facade import CostOptimizer

    return CostOptimizer()
