"""Two real processes: entries that one writes or clears take effect immediately in the other."""

import pytest

from tests.cache_app.index.racers import TIMES
from tests.support.race import RunRace

pytestmark = pytest.mark.django_db(transaction=True)
RACERS = "tests.cache_app.index.racers"


def test_an_entry_of_another_process_is_found_by_the_next_lookup(org: int, redis_url: str, run_race: RunRace) -> None:
    written, found = run_race(RACERS, [("write", str(org)), ("find", str(org))], REDIS_URL=redis_url)
    assert (written, found) == ([str(TIMES)], [str(TIMES)])


def test_entries_cleared_by_another_process_are_never_served(org: int, redis_url: str, run_race: RunRace) -> None:
    cleared, served = run_race(RACERS, [("clear", str(org)), ("serve", str(org))], REDIS_URL=redis_url)
    assert (cleared, served) == ([str(TIMES)], [str(TIMES), "0"])
