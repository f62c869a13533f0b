"""Scheduled jobs of the cost engine. All of them can run in several schedulers at once."""

from collections.abc import Callable

from aiinfra.live_events import is_anyone_listening
from aiinfra.scheduled import IfWaiting
from aiinfra.tenants.scope import system_scope
from cost_app.alerts.checks import check_all, check_budgets_of
from cost_app.budgets.events import publish_budget_changes
from cost_app.budgets.refusal_counts import count_refusals, is_any_uncounted
from cost_app.budgets.rollover import refresh_rollovers
from cost_app.finance.invoices.uploads import delete_failed, import_waiting, is_any_waiting
from cost_app.finance.scheduled_exports import deliver_due
from cost_app.ledger.rollups import fold, follow_time_zones, is_anything_queued
from cost_app.ledger.sweeper import sweep_unknown_outcomes
from cost_app.performance.counting import delete_expired
from cost_app.recommendations.compute import compute_all

Jobs = list[tuple[float, Callable[[], object]]]
"""(seconds between two runs, function)"""

FOLD_EVERY_S = 0.5
"""Figures must be visible within a second."""


def fold_usage() -> None:
    """Update the rollups, and check the budgets of organizations with new calls."""
    check_budgets_of(fold())


def count_refused() -> None:
    """Count refused calls, and check their budgets."""
    check_budgets_of(count_refusals())


def carry_over() -> None:
    """Update the carry-over of windows."""
    with system_scope():
        refresh_rollovers()


def delete_old_counts() -> None:
    """Apply the retention of the latency and failure counts."""
    with system_scope():
        delete_expired()


def jobs() -> Jobs:
    """Time-critical jobs."""
    return [
        (FOLD_EVERY_S, IfWaiting(is_anything_queued, fold_usage)),
        (1, IfWaiting(is_any_uncounted, count_refused)),
        (1, IfWaiting(is_anyone_listening, publish_budget_changes)),
        (5, sweep_unknown_outcomes),
        (5, carry_over),
    ]


def slow_jobs() -> Jobs:
    """Jobs that may take minutes."""
    return [
        (60, follow_time_zones),
        (60, check_all),
        (300, deliver_due),
        (3600, compute_all),
        (3600, delete_old_counts),
        (3600, delete_failed),
    ]


def upload_jobs() -> Jobs:
    """Jobs whose result a person waits for, and that may take seconds of CPU."""
    return [(1, IfWaiting(is_any_waiting, import_waiting))]
