"""A request with its attempts as one line of JSON, exactly as the database has them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from aiinfra.plain_rows import plain
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptState
from queue_app.erasure import ERASED_VALUES
from queue_app.models import AIRequest

cost = create_cost_optimizer()

Line = dict[str, Any]
OPEN = {AttemptState.RESERVED, AttemptState.DISPATCHED}


def lines_of(requests: Sequence[AIRequest]) -> Iterator[tuple[AIRequest, Line]]:
    """Each request with its line; one query for all attempts. What an erasure would remove is left out."""
    attempts: defaultdict[UUID | None, list[Attempt]] = defaultdict(list)
    for attempt in cost.attempts_of(request.id for request in requests):
        attempts[attempt.request_id].append(attempt)
    for request in requests:
        yield request, _line(request, attempts[request.id])


def text_of(line: Line) -> str:
    """Equal lines have equal texts."""
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def id_of(line: Line) -> UUID:
    """The request's ID. Raises KeyError, and ValueError for an invalid ID."""
    return UUID(line["id"])


def nano_of(line: Line) -> int:
    """What the attempts cost, in nano-dollars."""
    return sum(int(attempt["cost_nano"]) for attempt in line["attempts"])


def open_attempt_of(line: Line) -> str | None:
    """The ID of an attempt whose cost is not known yet."""
    return next((attempt["id"] for attempt in line["attempts"] if attempt["state"] in OPEN), None)


def _line(request: AIRequest, attempts: Iterable[Attempt]) -> Line:
    calls = [plain(attempt, without=cost.erased_columns) for attempt in attempts]
    return {**plain(request, without=ERASED_VALUES), "attempts": calls}
