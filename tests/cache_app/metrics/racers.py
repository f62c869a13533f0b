"""What real processes race for in the counts; see `tests.support.race`."""

from collections.abc import Iterator

from tests.support.race import Racer, run_racer, tell, wait_for

NOTES = 500


def notes(organization_id: str) -> Iterator[object]:
    """Note 500 look-ups, one by one."""
    from cache_app.metrics.counts import note

    for _ in range(NOTES):
        note(int(organization_id), ["look", "miss:none"])
    tell("noted")
    yield NOTES


def fold(_argument: str) -> Iterator[object]:
    """Fold again and again while others note; prints how many batches it counted."""
    from cache_app.metrics import folding

    real, counted = folding._count_batch, []

    def count(*arguments: object) -> None:
        counted.append(arguments)
        real(*arguments)  # type: ignore[arg-type]

    folding._count_batch = count  # type: ignore[assignment]
    for _ in range(100):
        folding.fold_counts()
    wait_for("noted")
    folding.fold_counts()
    yield len(counted)


RACES: dict[str, Racer] = {race.__name__: race for race in (notes, fold)}


if __name__ == "__main__":
    run_racer(RACES)
