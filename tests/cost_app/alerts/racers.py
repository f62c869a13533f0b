"""Concurrent schedulers that check alerts; see `tests.support.race`.

The argument is an organization's ID, or "installation".
"""

from collections.abc import Iterator

from cost_app import create_cost_optimizer
from tests.support.race import Racer, run_racer


def _follow(owner: str, *, is_deep: bool) -> None:
    from cost_app.facade import AlertKind, Cause, Severity

    cause = Cause("depth", AlertKind.QUEUE_DEPTH, Severity.HIGH, "5,000 requests wait.", facts={"waiting": 5000})
    organization_id = None if owner == "installation" else int(owner)
    create_cost_optimizer().follow_causes(organization_id, [AlertKind.QUEUE_DEPTH], [cause] if is_deep else [])


def begin(owner: str) -> Iterator[object]:
    """Find that the queue is too deep."""
    yield _follow(owner, is_deep=True)


def end(owner: str) -> Iterator[object]:
    """Find that the queue is no longer too deep."""
    yield _follow(owner, is_deep=False)


RACES: dict[str, Racer] = {"begin": begin, "end": end}

if __name__ == "__main__":
    run_racer(RACES, prepare=create_cost_optimizer)
