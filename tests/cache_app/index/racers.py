"""Two processes that share an organization's cache and take turns through Redis; see `tests.support.race`."""

from collections.abc import Iterator

from cache_app.index.matrix import MatrixIndex
from cache_app.store import clearing, entries
from cache_app.store.scripts import client, prefix
from tests.cache_app.store.making import PARTITION, id_of, make_entry, vector_of
from tests.support.race import Racer, run_racer

TIMES = 1_000
WAIT_S = 60
TRIMMED_EVERY = 7


def write(organization_id: str) -> Iterator[object]:
    """Write one entry per turn; prints the number of turns."""
    org = int(organization_id)
    for number in range(TIMES):
        entries.put(make_entry(org, number), vector=vector_of(number))
        _hand_over("reader")
        _wait("writer")
    yield TIMES


def find(organization_id: str) -> Iterator[object]:
    """Look up the entry that the other process just wrote; prints how often it was found and served."""
    org, index, found = int(organization_id), MatrixIndex(100_000_000), 0
    for number in range(TIMES):
        _wait("reader")
        found += _served(index, org, number)
        _hand_over("writer")
    yield found


def clear(organization_id: str) -> Iterator[object]:
    """Write an entry, let the other process serve it, and clear it by its tag. Sometimes trim the change log too."""
    org = int(organization_id)
    for number in range(TIMES):
        entries.put(make_entry(org, number, tags=(f"t{number}",)), vector=vector_of(number))
        _hand_over("reader")
        _wait("writer")
        clearing.clear_tags(org, [f"t{number}"])
        if number % TRIMMED_EVERY == 0:
            client().xtrim(prefix(org) + "log", maxlen=0)
        _hand_over("reader")
        _wait("writer")
    yield TIMES


def serve(organization_id: str) -> Iterator[object]:
    """Prints how often entries were served before and after they were cleared."""
    org, index, before, after = int(organization_id), MatrixIndex(100_000_000), 0, 0
    for number in range(TIMES):
        _wait("reader")
        before += _served(index, org, number)
        _hand_over("writer")
        _wait("reader")
        after += _served(index, org, number) + (id_of(number) in entries.fetch_valid(org, "", [id_of(number)]))
        _hand_over("writer")
    yield before
    yield after


def _served(index: MatrixIndex, org: int, number: int) -> bool:
    (nearest, *_) = [near.entry_id for near in index.nearest(org, PARTITION, vector_of(number), 1)] or [""]
    return nearest == id_of(number) and nearest in entries.fetch_valid(org, PARTITION, [nearest])


def _hand_over(to: str) -> None:
    client().rpush(f"turn:{to}", 1)


def _wait(name: str) -> None:
    """Wait in short intervals, because the client's Redis timeout is short."""
    for _ in range(WAIT_S * 5):
        if client().blpop(f"turn:{name}", timeout=0.2):
            return
    raise TimeoutError(name)


RACES: dict[str, Racer] = {race.__name__: race for race in (write, find, clear, serve)}


if __name__ == "__main__":
    run_racer(RACES)
