"""A change made in one process applies to the next request in another process, despite its cached rows."""

import pytest

from cost_app.prices import lookup as pricebook
from tests.support.race import RunRace

STATUS_AFTER_CHANGE = {"revoke": 401, "limit": 403, "deactivate": 401, "budget": 402}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("organization", "admin")
def test_change_applies_to_the_next_request_in_another_process(run_race: RunRace, redis_url: str) -> None:
    pricebook.add_shipped_prices()
    found, made = run_race("tests.api.racers", [("program", ""), ("staff", "")], REDIS_URL=redis_url)
    assert made == list(STATUS_AFTER_CHANGE)
    assert found == [f"{change}: {{202}}, then {status}" for change, status in STATUS_AFTER_CHANGE.items()]
