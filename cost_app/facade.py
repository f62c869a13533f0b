"""The cost engine's public interface: other apps import only this module."""

from aiinfra.python_api import InvalidValueError, UnknownOrganizationError
from cost_app import python_api, tasks
from cost_app.alerts import checks
from cost_app.alerts.cause import Cause
from cost_app.alerts.results import BudgetAlert
from cost_app.budgets import left
from cost_app.budgets.refusals import BudgetBusyError, BudgetExceededError, BudgetRefusedError
from cost_app.fallback import chains
from cost_app.fallback import manage as chain_changes
from cost_app.fallback.manage import ChainError
from cost_app.finance import month_close, months
from cost_app.finance.month_close import CloseState
from cost_app.finance.months import Month
from cost_app.ledger import (
    admission,
    attempt_queries,
    attempts,
    cache_hits,
    erasure,
    failed_calls,
    quoting,
    reconciliation,
    unsent,
)
from cost_app.ledger.admission import AttemptOrder
from cost_app.ledger.quoting import Quote
from cost_app.ledger.tracking import ReportConflictError
from cost_app.models import AlertKind, Attempt, AttemptState, ModelMinute, ModelState, ProviderLimit, Severity
from cost_app.performance import figures
from cost_app.performance.figures import DEFAULT_HOURS, HOURS_MAX, Performance
from cost_app.prices import importing, limits, lookup, prompt_size
from cost_app.prices.lookup import ModelNotPricedError
from cost_app.prices.pricing import DEFAULT_OUTPUT_TOKENS
from cost_app.recommendations import classes, provider_choice, rules
from cost_app.recommendations.provider_choice import NoModelError
from cost_app.recommendations.results import OptimizationRecommendation, ProviderRecommendation
from cost_app.recommendations.rules import CallTerms
from cost_app.spend.results import CostMetrics, TrackedRequest

__all__ = [
    "DEFAULT_HOURS",
    "DEFAULT_OUTPUT_TOKENS",
    "HOURS_MAX",
    "AlertKind",
    "Attempt",
    "AttemptOrder",
    "AttemptState",
    "BudgetAlert",
    "BudgetBusyError",
    "BudgetExceededError",
    "BudgetRefusedError",
    "CallTerms",
    "Cause",
    "ChainError",
    "CloseState",
    "CostMetrics",
    "CostOptimizer",
    "InvalidValueError",
    "ModelMinute",
    "ModelNotPricedError",
    "ModelState",
    "Month",
    "NoModelError",
    "OptimizationRecommendation",
    "Performance",
    "ProviderLimit",
    "ProviderRecommendation",
    "Quote",
    "ReportConflictError",
    "Severity",
    "TrackedRequest",
    "UnknownOrganizationError",
]


class CostOptimizer:
    """Admits, books and reports what provider calls cost. Stateless.

    The first group is for Python callers: the organization's slug comes first, money goes out as Decimal dollars, and
    no scope is needed (`cost_app.python_api` documents each). The others are for the apps above, inside an
    organization's scope; their amounts are nano-dollars.
    """

    track_request = staticmethod(python_api.track_request)
    get_cost_metrics = staticmethod(python_api.get_cost_metrics)
    set_budget = staticmethod(python_api.set_budget)
    get_alerts = staticmethod(python_api.get_alerts)
    get_recommendations = staticmethod(python_api.get_recommendations)
    get_optimal_provider = staticmethod(python_api.get_optimal_provider)

    priced_models = staticmethod(lookup.priced_models)
    embedding_models = staticmethod(lookup.embedding_models)
    estimated_tokens = staticmethod(prompt_size.estimated_tokens)
    import_prices_once = staticmethod(importing.import_once)
    price_of = staticmethod(lookup.price_of)
    rate_limits = staticmethod(limits.rate_limits)
    provider_limits = staticmethod(limits.provider_limits)

    budgets_left = staticmethod(left.budgets_left)

    set_chain = staticmethod(chain_changes.set_chain)
    fallback_chain = staticmethod(chains.fallback_chain)

    choose_model = staticmethod(provider_choice.get_optimal_provider)
    classify = staticmethod(classes.classify)
    shape = staticmethod(rules.shape)
    record_uses = staticmethod(rules.record_uses)
    off_peak_begin = staticmethod(rules.off_peak_begin)
    quote = staticmethod(quoting.quote)
    accepts_model = staticmethod(admission.accepts_model)
    bound = staticmethod(admission.bound)
    left_after = staticmethod(left.left_after)
    open_attempt = staticmethod(admission.open_attempt)
    current_attempt = staticmethod(attempts.current_attempt)
    dispatch = staticmethod(attempts.dispatch)
    settle = staticmethod(attempts.settle)
    settle_uncounted = staticmethod(attempts.settle_uncounted)
    book_failure = staticmethod(failed_calls.book_failure)
    withdraw = staticmethod(attempts.withdraw)
    abandon = staticmethod(attempts.abandon)
    attempts_of = staticmethod(attempt_queries.attempts_of)
    sent_within = staticmethod(attempt_queries.sent_within)
    failed_requests = staticmethod(attempt_queries.failed_requests)
    book_cache_hit = staticmethod(cache_hits.book_cache_hit)

    follow_causes = staticmethod(checks.follow_causes)
    owners_of_live_alerts = staticmethod(checks.owners_of_live_alerts)

    average_latency = staticmethod(figures.average_latency)
    performance = staticmethod(figures.performance)
    performance_by_hour = staticmethod(figures.performance_by_hour)
    model_states = staticmethod(figures.model_states)
    model_minutes = staticmethod(figures.model_minutes)

    reserved_requests = staticmethod(attempt_queries.reserved_requests)
    months_of = staticmethod(months.months_of)
    close_states = staticmethod(month_close.close_states)
    disagreements = staticmethod(reconciliation.disagreements)
    forget_unsent = staticmethod(unsent.forget)
    erase_attempts = staticmethod(erasure.erase_attempts)
    erased_columns = frozenset(erasure.ERASED_VALUES)
    jobs = staticmethod(tasks.jobs)
    slow_jobs = staticmethod(tasks.slow_jobs)
    upload_jobs = staticmethod(tasks.upload_jobs)
