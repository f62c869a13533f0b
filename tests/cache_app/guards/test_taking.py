"""Extraction of times, codes, and quantities, compared by value rather than by notation."""

import pytest

from cache_app.guards.codes import take_codes
from cache_app.guards.dates import take_dates
from cache_app.guards.quantities import take_quantities
from cache_app.guards.tables import is_turned
from tests.cache_app.guards.test_guards import judged

DATES = {
    "Meet at 3pm": {("time", "15:00")},
    "Meet at 3 a.m.": {("time", "3:00")},
    "Meet at 12am": {("time", "0:00")},
    "Meet at 12 p.m.": {("time", "12:00")},
    "Meet at 11:30 am": {("time", "11:30")},
    "Open at 15:45": {("time", "15:45")},
    "On 2024-03-31": {("day", "31"), ("month", "3"), ("year", "2024")},
    "In 2024-03": {("month", "3"), ("year", "2024")},
    "On 3/4/24": {("date", "3/4"), ("year", "2024")},
    "On 03.4.2024": {("date", "3/4"), ("year", "2024")},
    "On 3 May 2024": {("day", "3"), ("month", "5"), ("year", "2024")},
    "On May 3, 2024": {("day", "3"), ("month", "5"), ("year", "2024")},
    "the 3rd of September": {("day", "3"), ("month", "9")},
    "Sept 9": {("day", "9"), ("month", "9")},
    "By May": {("month", "5")},
    "We march on": set(),
    "In the first quarter": {("quarter", "1")},
    "quarter 3": {("quarter", "3")},
    "Q3 2024": {("quarter", "3"), ("year", "2024")},
    "Q3 '24": {("quarter", "3"), ("year", "2024")},
    "2Q24": {("quarter", "2"), ("year", "2024")},
    "the last quarter of 2023": {("quarter", "4"), ("year", "2023")},
    "last quarter": {("quarter", "last")},
    "second half of 2023": {("half", "2"), ("year", "2023")},
    "2nd half of the year": {("half", "2")},
    "H1 2024": {("half", "1"), ("year", "2024")},
    "FY24": {("year", "2024")},
    "fiscal year 2024": {("year", "2024")},
    "in the 1990s": {("decade", "1990")},
    "in 1995": {("year", "1995")},
    "costs 2000 kWh": set(),
    "last year": {("year", "last")},
    "the previous month": {("month", "last")},
    "the upcoming weeks": {("week", "next")},
    "the current year": {("year", "this")},
    "today": {("day", "0")},
    "yesterday": {("day", "-1")},
    "tomorrow": {("day", "+1")},
    "on Mondays": {("weekday", "mon")},
}
CODES = {
    "Our scope II emissions": {"scope 2"},
    "Our scope 2 emissions": {"scope 2"},
    "In case I leave, order a taxi": set(),
    "ISO 27001": {"iso 27001"},
    "version 2.1": {"version 2.1"},
    "v2.1": {"version 2.1"},
    "GPT-4": {"gpt 4"},
    "E1-6": {"e16"},
    "order #12345": {"order 12345"},
    "covid-19": {"covid19"},
    "a 5G network": {"5g"},
    "5kg of rice": set(),
    "a 2-bedroom flat": set(),
    "CO2 and CO₂e": set(),
    "article 5b": {"article 5b"},
}
QUANTITIES = {
    "5 people": (5, ""),
    "fifty people": (50, ""),
    "twenty-five kg": (25, "mass"),
    "2,500 kg": (2_500, "mass"),
    "1 tonne": (1_000, "mass"),
    "1.000,5 kg": (1_000.5, "mass"),
    "500 g": (0.5, "mass"),
    "$2m": (2_000_000, "usd"),
    "2 million dollars": (2_000_000, "usd"),
    "2k euros": (2_000, "eur"),
    "a dozen eggs": (12, ""),
    "10%": (10, "%"),
    "ten percent": (10, "%"),
    "60 minutes": (0.041666667, "time"),
    "five hundred and three people": (503, ""),
}


@pytest.mark.parametrize("text", DATES)
def test_times_are_extracted_by_value(text: str) -> None:
    assert take_dates(text)[0] == DATES[text]


@pytest.mark.parametrize("text", CODES)
def test_codes_are_extracted_by_value(text: str) -> None:
    assert take_codes(text)[0] == CODES[text]


@pytest.mark.parametrize("text", QUANTITIES)
def test_quantities_are_extracted_by_value(text: str) -> None:
    ((quantity,), _) = take_quantities(text)
    assert (quantity.value, quantity.dimension) == (pytest.approx(QUANTITIES[text][0]), QUANTITIES[text][1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What did we sell in Q3 '24?", "What did we sell in Q3 '23?"),
        ("What did we sell last quarter?", "What did we sell in the fourth quarter?"),
        ("Is the shop open at 12am?", "Is the shop open at 12pm?"),
        ("What does article 5b say?", "What does article 5c say?"),
    ],
)
def test_different_times_and_codes_are_different_questions(one: str, other: str) -> None:
    assert not judged(one, other).serve
    assert not judged(other, one).serve


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is the shop open at 3pm?", "Is the shop open at 15:00?"),
        ("What did we sell in Q3 2024?", "What did we sell in Q3 '24?"),
        ("Can I send 500 g by post?", "Can I send 0.5 kg by post?"),
        ("What are our scope II emissions?", "What are our scope 2 emissions?"),
    ],
)
def test_equal_values_in_another_notation_are_the_same_question(one: str, other: str) -> None:
    assert judged(one, other).serve


@pytest.mark.parametrize(
    ("one", "other", "turned"),
    [("up", "down", True), ("to", "from", True), ("up", "off", False), ("to", "into", False), ("up", "tea", False)],
)
def test_only_opposite_prepositions_are_reversed(one: str, other: str, turned: bool) -> None:
    assert is_turned([one], [other]) is is_turned([other], [one]) is turned
