"""Processes that claim rechecks concurrently; see `tests.support.race`."""

from collections.abc import Iterator

from tests.support.race import Racer, run_racer


def take(_argument: str) -> Iterator[object]:
    """Claim due rechecks, three at a time, until none are left."""
    from aiinfra.tenants.scope import system_scope
    from cache_app.learning.sampling import claim_due_rechecks

    with system_scope():
        while hits := claim_due_rechecks(3):
            yield from (hit.id for hit in hits)


RACES: dict[str, Racer] = {"take": take}


if __name__ == "__main__":
    run_racer(RACES)
