"""Loops over rows of which one may be bad."""

import logging
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import TypeVar

from django.db import transaction
from redis.exceptions import RedisError

from aiinfra.failures import DATABASE_AWAY

logger = logging.getLogger(__name__)
Row = TypeVar("Row")

AWAY = (*DATABASE_AWAY, RedisError)
"""Trouble that every row would meet: the loop ends, and its job tries again in its turn."""


def one_by_one(
    rows: Iterable[Row],
    work: Callable[[Row], object],
    give_up: Callable[[Row], object] | None = None,
    *,
    in_transaction: bool = False,
) -> list[Row]:
    """Do `work` with each row; one that breaks it is logged, and the others have their turn. Returns the broken rows.

    `give_up` ends a broken row or puts it off, so that the next round does not begin with it. With `in_transaction`,
    for a loop that is part of one, each row has a savepoint. Raises the errors of a database or a Redis that is away.
    """
    broken = []
    for row in rows:
        if not _did(work, row, in_transaction):
            broken.append(row)
            if give_up is not None:
                _did(give_up, row, in_transaction)
    return broken


def _did(work: Callable[[Row], object], row: Row, in_transaction: bool) -> bool:
    try:
        with transaction.atomic() if in_transaction else nullcontext():
            work(row)
    except AWAY:
        raise
    except Exception:
        fields = {"work": getattr(work, "__qualname__", repr(work)), "row": str(getattr(row, "pk", row))[:200]}
        logger.exception("a row broke its loop's work and was passed over", extra={"fields": fields})
        return False
    return True
