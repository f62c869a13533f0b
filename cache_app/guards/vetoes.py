"""Runs all guards that can object at any similarity."""

from cache_app.guards.additions import object_to_addition
from cache_app.guards.addresses import object_to_addresses
from cache_app.guards.arithmetic import object_to_arithmetic
from cache_app.guards.bounds import object_to_bounds
from cache_app.guards.codes import object_to_codes
from cache_app.guards.dates import object_to_dates
from cache_app.guards.difference import WordDifference
from cache_app.guards.identifiers import object_to_compounds, object_to_letters, object_to_parts
from cache_app.guards.objection import Objection
from cache_app.guards.opposites import (
    object_to_names,
    object_to_negation,
    object_to_opposites,
    object_to_restriction,
    object_to_roles,
)
from cache_app.guards.order import object_to_order
from cache_app.guards.parsing import Parsed
from cache_app.guards.quantities import object_to_quantities
from cache_app.guards.short_names import object_to_short_names
from cache_app.guards.small_words import object_to_small_words
from cache_app.guards.spelling import object_to_script, object_to_spelling
from cache_app.guards.strict import object_to_minimal_edit, object_to_question
from cache_app.guards.symbols import object_to_symbols
from cache_app.guards.wording import object_to_wording


def veto(asked: Parsed, cached: Parsed, apart: WordDifference) -> Objection | None:
    """The first objection, language-independent guards first. None for texts with equal wording."""
    return (
        object_to_signs(asked, cached)
        or object_to_script(asked.text, cached.text)
        or object_to_letters(asked.text, cached.text)
        or object_to_negation(asked, cached)
        or object_to_opposites(asked, cached)
        or object_to_roles(asked, cached)
        or object_to_bounds(asked.bounds, cached.bounds)
        or object_to_names(asked, cached, apart)
        or object_to_short_names(asked, cached)
        or object_to_order(asked, cached)
        or object_to_restriction(apart)
        or object_to_question(asked, cached)
        or object_to_small_words(asked, cached, apart)
        or object_to_minimal_edit(asked, cached, apart)
        or object_to_addition(asked, cached)
    )


def veto_foreign(asked: Parsed, cached: Parsed, language: str) -> Objection | None:
    """The first objection for texts in a language of `frame_words.txt`."""
    return object_to_signs(asked, cached) or object_to_wording(asked.text, cached.text, language)


def object_to_signs(asked: Parsed, cached: Parsed) -> Objection | None:
    """Guards for every language: times, codes, numbers, symbols, and spelling."""
    return (
        object_to_dates(asked.dates, cached.dates)
        or object_to_codes(asked.codes, cached.codes)
        or object_to_quantities(asked.quantities, cached.quantities)
        or object_to_symbols(asked.symbols, cached.symbols)
        or object_to_arithmetic(asked.text, cached.text)
        or object_to_compounds(asked.text, cached.text)
        or object_to_parts(asked.text, cached.text)
        or object_to_addresses(asked.text, cached.text)
        or object_to_spelling(asked.text, cached.text)
    )
