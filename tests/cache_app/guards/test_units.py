"""Numbers in every notation and unit, and which of them are equal."""

from fractions import Fraction

import pytest

from cache_app.guards.parsing import parse
from cache_app.guards.quantities import object_to_quantities, take_quantities

UNITS: dict[str, dict[str, float]] = {
    "time": {
        "86400 s": 1,
        "86400000 ms": 1,
        "86400000000 µs": 1,
        "86400000000000 ns": 1,
        "1440 min": 1,
        "24 h": 1,
        "1 day": 1,
        "1 wk": 7,
        "1 fortnight": 14,
        "12 months": 365.25,
        "1 yr": 365.25,
    },
    "mass": {"1000000 mg": 1, "1000 g": 1, "1 kg": 1, "1 t": 1_000, "1 kt": 1_000_000, "1 lb": 0.45359237},
    "length": {
        "1000 mm": 1,
        "100 cm": 1,
        "1 m": 1,
        "1 km": 1_000,
        "1 mile": 1_609.344,
        "1 ft": 0.3048,
        "1 inch": 0.0254,
    },
    "volume": {"1000 ml": 1, "1 l": 1, "1 m3": 1_000},
    "energy": {"1000 wh": 1, "1 kwh": 1, "1 mwh": 1_000, "1 gwh": 1_000_000},
    "power": {"1 kw": 1, "1 mw": 1_000, "1 gw": 1_000_000},
    "data": {
        "8000 kbit": 1,
        "8 mbit": 1,
        "8 gbit": 1_000,
        "1000 kb": 1,
        "1 mb": 1,
        "1 gb": 1_000,
        "1 tb": 1_000_000,
    },
    "%": {"1%": 1, "1 pct": 1},
    "gbp": {"£1": 1, "1 quid": 1},
    "eur": {"€1": 1, "1 euro": 1},
    "usd": {"$1": 1, "1 buck": 1},
    "cents": {"1 cent": 1},
    "jpy": {"¥1": 1, "1 yen": 1},
    "inr": {"₹1": 1, "1 rupee": 1},
}
NUMBERS: dict[str, float] = {
    "zero": 0,
    "one": 1,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "nineteen": 19,
    "twenty": 20,
    "ninety": 90,
    "third": 3,
    "tenth": 10,
    "eleventh": 11,
    "twentieth": 20,
    "dozen": 12,
    "twice": 2,
    "thrice": 3,
    "pair": 2,
    "couple": 2,
    "twenty-one": 21,
    "two hundred": 200,
    "hundred": 100,
    "thousand": 1_000,
    "two hundred and five thousand": 205_000,
    "one million and six": 1_000_006,
    "three billion": 3 * 10**9,
    "2 hundred": 200,
    "2k": 2_000,
    "2 lakh": 200_000,
    "2 crore": 20_000_000,
    "2 trillion": 2 * 10**12,
    "2 mn": 2_000_000,
    "2 mio": 2_000_000,
    "2 bn": 2 * 10**9,
    "2 mrd": 2 * 10**9,
    "£2m": 2_000_000,
    "1,000": 1_000,
    "1 000": 1_000,
    "1'000": 1_000,
    "1,000,000": 1_000_000,
    "1.000.000": 1_000_000,
    "1.000,5": 1_000.5,
    "1,000.25": 1_000.25,
    "1.5": 1.5,
    "1,5": 1.5,
    "0.125": 0.125,
    "0,125": 0.125,
    "10,00,000": 1_000_000,
    "-5": -5,
    "3rd": 3,
}
EQUAL = [
    ("Is 7 days long?", "Is 1 week long?"),
    ("Is 1000 g a lot?", "Is 1 kg a lot?"),
    ("Is 5 kg a lot?", "Is 5 a lot?"),
    ("Is 5.2 kg a lot?", "Is 5.20 kg a lot?"),
    ("Is there one way?", "Is there a way?"),
    ("Do I need a pair?", "Do I need a half?"),
    ("Is 24 hours long?", "Is 1440 minutes long?"),
]
UNEQUAL = [
    ("Is 7 days long?", "Is 1 month long?"),
    ("Is 5 kg a lot?", "Is 5 km a lot?"),
    ("Is 5.2 new?", "Is 5.20 new?"),
    ("Is 1.000 a lot?", "Is 1000 a lot?"),
    ("Is 012 a lot?", "Is 12 a lot?"),
    ("Is there a way?", "Are there two ways?"),
    ("Do I need one?", "Do I need three?"),
    ("Is 10000001 g a lot?", "Is 10000 kg a lot?"),
    ("Is -5 a lot?", "Is 5 a lot?"),
]


@pytest.mark.parametrize(
    ("dimension", "text", "value"), [(name, text, value) for name, row in UNITS.items() for text, value in row.items()]
)
def test_a_unit_has_a_dimension_and_a_size(dimension: str, text: str, value: float) -> None:
    ((quantity,), rest) = take_quantities(text)
    assert (quantity.dimension, float(quantity.value)) == (dimension, pytest.approx(value))
    assert rest.strip() == ""


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_has_the_same_value_in_every_notation(text: str) -> None:
    ((quantity,), _) = take_quantities(text)
    assert quantity.number == Fraction(NUMBERS[text])


def test_a_word_that_is_not_a_unit_stays_in_the_text() -> None:
    assert take_quantities("Book 5 rooms")[1].split() == ["Book", "rooms"]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_or_vague_numbers_do_not_conflict(one: str, other: str) -> None:
    left, right = parse(one).quantities, parse(other).quantities
    assert object_to_quantities(left, right) is None
    assert object_to_quantities(right, left) is None


@pytest.mark.parametrize(("one", "other"), UNEQUAL)
def test_unequal_numbers_conflict(one: str, other: str) -> None:
    left, right = parse(one).quantities, parse(other).quantities
    assert object_to_quantities(left, right)
    assert object_to_quantities(right, left)


def test_the_reason_quotes_each_number_from_its_own_question() -> None:
    found = object_to_quantities(parse("Is 5 kg a lot?").quantities, parse("Is 6 kg a lot?").quantities)
    assert found
    assert found.reason == 'one question mentions "5 kg", the other "6 kg"'
