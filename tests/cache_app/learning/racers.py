"""What real processes race for in the sample; see `tests.support.race`."""

from collections.abc import Iterator

from tests.support.race import Racer, run_racer


def take(_argument: str) -> Iterator[object]:
    """Take what is to be asked again, three at a time, until nothing is left."""
    from aiinfra.tenants.scope import system_scope
    from cache_app.learning.sampling import claim_due_rechecks

    with system_scope():
        while hits := claim_due_rechecks(3):
            yield from (hit.id for hit in hits)


RACES: dict[str, Racer] = {"take": take}


if __name__ == "__main__":
    run_racer(RACES)
