"""Processes rows one by one, so that a bad row doesn't stop the rest."""

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
"""Errors that would affect every row. They end the loop; the job retries on its next run."""


def one_by_one(
    rows: Iterable[Row],
    work: Callable[[Row], object],
    give_up: Callable[[Row], object] | None = None,
    *,
    in_transaction: bool = False,
) -> list[Row]:
    """Run `work` on each row; a row that raises is logged, and the others continue. Returns the bad rows.

    `give_up` ends or postpones a bad row, so that the next run doesn't start with it. With `in_transaction`, for a loop
    inside a transaction, each row has a savepoint. Raises connection errors of the database and of Redis.
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
        logger.exception("a row raised an error and was skipped", extra={"fields": fields})
        return False
    return True
