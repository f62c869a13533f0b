"""Generators of recommendations: one function per kind, from SQL sums over a sample."""

from collections.abc import Callable, Iterator

from cost_app.recommendations.generators.budgets import idle_budgets
from cost_app.recommendations.generators.limits import loose_limits, wasted_retries
from cost_app.recommendations.generators.models import cheaper_models
from cost_app.recommendations.generators.prefixes import uncached_prefixes
from cost_app.recommendations.generators.repeats import missed_repeats
from cost_app.recommendations.generators.timing import batch_calls, peak_calls
from cost_app.recommendations.sample import Finding, Sample

GENERATORS: list[Callable[[Sample], Iterator[Finding]]] = [
    cheaper_models,
    missed_repeats,
    uncached_prefixes,
    peak_calls,
    batch_calls,
    loose_limits,
    wasted_retries,
    idle_budgets,
]
