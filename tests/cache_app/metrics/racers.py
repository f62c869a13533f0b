"""Processes that record and fold counts concurrently; see `tests.support.race`."""

from collections.abc import Iterator

from tests.support.race import Racer, is_signaled, run_racer, signal_event

FOLDERS, NOTERS = ("first", "second"), ("third", "fourth")
NOTES = 500


def note(name_and_organization: str) -> Iterator[object]:
    """Record lookups one by one: at least 500, and until both folders have counted some. Yields how many."""
    from cache_app.metrics import counts

    name, organization_id = name_and_organization.split()
    noted = 0
    while noted < NOTES or not all(is_signaled(f"{folder} folded") for folder in FOLDERS):
        counts.record(int(organization_id), ["look", "miss:none"])
        noted += 1
    signal_event(f"{name} noted")
    yield noted


def fold(name: str) -> Iterator[object]:
    """Fold repeatedly while other processes record; yields the number of batches counted."""
    from cache_app.metrics import folding

    real, counted = folding._count_batch, []

    def count(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        counted.append(arguments)
        signal_event(f"{name} folded")

    folding._count_batch = count  # type: ignore[assignment]
    while not all(is_signaled(f"{noter} noted") for noter in NOTERS):
        folding.fold_counts()
    folding.fold_counts()
    yield len(counted)


RACES: dict[str, Racer] = {race.__name__: race for race in (note, fold)}


if __name__ == "__main__":
    run_racer(RACES)
