"""Conditions that a partial index and its queries share."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from django.db.models import Q


def one_of(column: str, values: Iterable[str]) -> Q:
    """The column has one of these values, as a chain of ORs.

    Use the same condition in the index and in the query. SQLite uses a partial index only if it can prove that the
    query implies its condition. It can't for `IN` with parameters, so the query would scan the whole table.
    """
    return reduce(or_, (Q(**{column: value}) for value in values))
