"""The public door of the cost engine: other apps import this and nothing behind it."""

from cost_app import tasks
from cost_app.advice import classes, provider_choice, rules, screens
from cost_app.advice.rules import CallTerms
from cost_app.alerts import lifecycle
from cost_app.budgets import manage, windows
from cost_app.budgets.refusals import BudgetBusyError, BudgetExceededError, BudgetRefusedError
from cost_app.ledger import admission, agreement, attempts, cache_hits, tracking
from cost_app.ledger.admission import AttemptOrder
from cost_app.ledger.tracking import TrackedCall
from cost_app.metrics import metrics
from cost_app.models import Attempt, AttemptState
from cost_app.prices import book
from cost_app.prices.book import ModelNotPricedError
from cost_app.prices.pricing import DEFAULT_OUTPUT_TOKENS

__all__ = [
    "DEFAULT_OUTPUT_TOKENS",
    "Attempt",
    "AttemptOrder",
    "AttemptState",
    "BudgetBusyError",
    "BudgetExceededError",
    "BudgetRefusedError",
    "CallTerms",
    "CostOptimizer",
    "ModelNotPricedError",
    "TrackedCall",
]


class CostOptimizer:
    """Admits, books and reports what provider calls cost. Stateless; amounts are nano-dollars."""

    priced_models = staticmethod(book.priced_models)
    price_of = staticmethod(book.price_of)

    classify = staticmethod(classes.classify)
    shape = staticmethod(rules.shape)
    record_uses = staticmethod(rules.record_uses)
    open_attempt = staticmethod(admission.open_attempt)
    current_attempt = staticmethod(attempts.current_attempt)
    dispatch = staticmethod(attempts.dispatch)
    settle = staticmethod(attempts.settle)
    estimate = staticmethod(attempts.estimate)
    release = staticmethod(attempts.release)
    withdraw = staticmethod(attempts.withdraw)
    abandon = staticmethod(attempts.abandon)
    attempts_of = staticmethod(attempts.attempts_of)
    book_cache_hit = staticmethod(cache_hits.book_cache_hit)

    windows_now = staticmethod(windows.windows_now)
    set_budget = staticmethod(manage.set_budget)
    track_request = staticmethod(tracking.track_request)
    get_cost_metrics = staticmethod(metrics.get_cost_metrics)
    get_alerts = staticmethod(lifecycle.get_alerts)
    get_recommendations = staticmethod(screens.recommendation_rows)
    get_optimal_provider = staticmethod(provider_choice.get_optimal_provider)

    reserved_requests = staticmethod(attempts.reserved_requests)
    disagreements = staticmethod(agreement.disagreements)
    jobs = staticmethod(tasks.jobs)
    slow_jobs = staticmethod(tasks.slow_jobs)
