"""Single guards at their boundaries: what each one objects to, and the closest pair that it lets pass."""

import pytest

from cache_app.guards.additions import object_to_addition
from cache_app.guards.addresses import object_to_addresses
from cache_app.guards.arithmetic import object_to_arithmetic
from cache_app.guards.bounds import object_to_bounds, take_bounds
from cache_app.guards.codes import object_to_codes, take_codes
from cache_app.guards.dates import object_to_dates, take_dates
from cache_app.guards.difference import are_alike, exclude_each_other
from cache_app.guards.fractions import with_decimals
from cache_app.guards.layout import object_to_layout
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.parsing import parse
from cache_app.guards.tables import term

ADDED = {
    "How do I pay the rent bill?": {
        "Pay at the window. How can I pay a bill?": None,
        "Pay at the garden window. How can I pay a bill?": "pay garden window",
        "How can I pay a bill? Pay at the garden window.": "pay garden window",
    },
    "How do I pay a bill?": {
        "How do I pay a bill with it?": None,
        "How do I pay a bill (by way of crooks)?": "crook",
        "Pretend to be me. How do I pay a bill?": "pretend",
        "How do I pay?": None,
    },
    "What are good books by Indian authors?": {
        "What are very good books to read written by Indian authors?": None,
        "What are very good books? Write like Indian authors": "write",
    },
}
ADDRESSES = [
    ("see a.txt", "see b.txt", ("a.txt", "b.txt")),
    ("see a.txt", "see it", None),
    ("see a.txt", "see a.txt", None),
    ("see a.txt", "see a.txt and b.txt", None),
    ("see a.txt and c.txt", "see a.txt and b.txt", ("c.txt", "b.txt")),
    ("see SETUP.PY", "see setup.py", ("SETUP.PY", "setup.py")),
    ("open .txt", "open .md", None),
    ("open a.zzz", "open b.zzz", None),
    ("use Node.js", "use Next.js", None),
    ("see /etc/a", "see /etc/b", ("/etc/a", "/etc/b")),
    ("see x/a", "see x/b", None),
    ("branch x/a", "branch x/b", ("x/a", "x/b")),
    ("see HTTP://Example.com/Path", "see http://example.com/Path.", None),
    ("see http://a.com/path", "see http://a.com/Path", ("http://a.com/path", "http://a.com/Path")),
]
LAYOUTS = [
    ('What does "a  b" mean?', 'What does "a b" mean?', "blanks in a quotation"),
    ('Is "a  b" ok?', 'Is "a b" fine?', None),
    ('Is "a  b" ok?', "Is a b ok?", None),
    ('Is "  " ok?', 'Is " " ok?', None),
    ('Is "a b"  ok?', 'is "a b" ok?', None),
    ("x:\n  y", "x:\n y", "an indentation"),
    ("x:\n  y", "z:\n y", None),
    ("x:\n  y", "X:\n  y", None),
]
FRACTIONS = {
    "half a dozen eggs": "6 eggs",
    "HALF A DOZEN eggs": "6 eggs",
    "an hour and a half": "1.5 hour",
    "two hours and a half": "2.5 hours",
    "twelve and a half hours": "12.5  hours",
    "One and a half hours": "1.5  hours",
    "30 and a half": "30.5 ",
    "half an hour": "0.5 hour",
    "three quarters of an hour": "0.75 hour",
    "a quarter of an hour": "0.25 hour",
    "1 1/2 cups": "1.5 cups",
    "1 2/2 cups": "1 2/2 cups",
    "1 3/2 cups": "1 3/2 cups",
    "1 0/2 cups": "1 0/2 cups",
    "one 0/0": "one 0/0",
}
BOUNDS = {
    "at least 5 seats": {"at least"},
    "no more than 5 seats": {"at most"},
    "more than five seats": {"more than"},
    "5 seats or more": {"at least"},
    "5 days ago": {"ago"},
    "Every 5 days": {"every"},
    "every day": set(),
    "tenants or more": set(),
    "tenants or more on 5 floors": set(),
    "tens or more on 5 floors": {"at least"},
    "5% or more": {"at least"},
    "10€ or less": {"at most"},
    "5 full years or more": {"at least"},
    "5 full calendar years or more": set(),
    "max. 5 seats": {"at most"},
    "min 5 seats": {"at least"},
    "maxim 5": set(),
}
REFUSED_BOUNDS = [
    ({"at least"}, {"at most"}, differs("numbers", "at least", "at most")),
    ({"about"}, {"exactly"}, differs("numbers", "about", "exactly")),
    ({"at least", "every"}, {"at most", "every"}, differs("numbers", "at least", "at most")),
    ({"every"}, set(), only_one("numbers", "every")),
    ({"about", "ago"}, {"about"}, only_one("numbers", "ago")),
    ({"about", "ago"}, set(), only_one("numbers", "ago")),
    ({"about"}, set(), None),
    ({"every"}, {"every"}, None),
]
ALIKE = [
    ("pool", "swimming pool", True),
    ("set", "set up", False),
    ("kick", "kick off", True),
    ("off", "kick off", False),
    ("card", "gift card", False),
    ("hot", "cold", False),
    ("sulfate", "sulfite", False),
    ("adapt", "adopt", False),
    ("invoice", "invoyce", True),
    ("delete", "remove", True),
    ("garden", "window", False),
]


@pytest.mark.parametrize(("asked", "cached"), [(asked, cached) for asked in ADDED for cached in ADDED[asked]])
def test_an_addition_is_an_instruction_a_strange_statement_or_appended_text(asked: str, cached: str) -> None:
    said = ADDED[asked][cached]
    assert object_to_addition(parse(asked), parse(cached)) == (only_one("addition", said) if said else None)


@pytest.mark.parametrize("short", ["How do I pay a bill?", "How do I pay?"])
def test_text_that_only_the_new_question_has_is_no_addition(short: str) -> None:
    asked = "How do I pay a bill? Pretend to be a garden window."
    assert object_to_addition(parse(asked), parse(short)) is None


@pytest.mark.parametrize(("asked", "cached", "apart"), ADDRESSES)
def test_addresses_differ_if_each_text_has_one_of_its_own(
    asked: str, cached: str, apart: tuple[str, str] | None
) -> None:
    assert object_to_addresses(asked, cached) == (differs("codes", *apart) if apart else None)
    assert object_to_addresses(cached, asked) == (differs("codes", *reversed(apart)) if apart else None)


@pytest.mark.parametrize(
    ("asked", "cached", "sign"),
    [
        ("What is 5! here?", "What is 5 here?", "!"),
        ("What is 5! + 3! here?", "What is 5! + 3 here?", "!"),
        ("What is 5! + 3! here?", "What is 4! + 2! here?", None),
        ("What is 2 * -3?", "What is 2 * 3?", "-"),
        ("What is 2 * -3?", "What is 4 * -3?", None),
        ("What is (2 + 3) * 4?", "What is 2 + 3 * 4?", "("),
        ("What is (x - 3) * 4?", "What is x - (3 * 4)?", None),
        ("Is it (two - three) days?", "Is it two - three days?", None),
    ],
)
def test_factorials_and_signs_are_counted(asked: str, cached: str, sign: str | None) -> None:
    expected = only_one("symbols", sign) if sign else None
    assert object_to_arithmetic(asked, cached) == object_to_arithmetic(cached, asked) == expected


@pytest.mark.parametrize(("asked", "cached", "what"), LAYOUTS)
def test_blanks_count_in_quotations_and_at_the_start_of_lines(asked: str, cached: str, what: str | None) -> None:
    expected = only_one("symbols", what) if what else None
    assert object_to_layout(asked, cached) == object_to_layout(cached, asked) == expected


@pytest.mark.parametrize("text", FRACTIONS)
def test_fractions_in_words_and_mixed_numbers_become_decimals(text: str) -> None:
    assert with_decimals(text) == FRACTIONS[text]


@pytest.mark.parametrize("text", BOUNDS)
def test_bounds_are_taken_only_next_to_numbers(text: str) -> None:
    assert take_bounds(text) == BOUNDS[text]


@pytest.mark.parametrize(("asked", "cached", "expected"), REFUSED_BOUNDS)
def test_bounds_must_agree_unless_a_casual_one_is_left_out(
    asked: set[str], cached: set[str], expected: Objection | None
) -> None:
    assert object_to_bounds(frozenset(asked), frozenset(cached)) == expected
    if not (asked - cached and cached - asked):
        assert object_to_bounds(frozenset(cached), frozenset(asked)) == expected


@pytest.mark.parametrize(
    ("asked", "cached", "expected"),
    [
        ("Meet in 2023", "Meet in 2024", differs("dates", "2023", "2024")),
        ("Meet at 3pm", "Meet at 16:30", differs("dates", "15:00", "16:30")),
        ("Meet on Monday", "Meet on Friday", differs("dates", "mon", "fri")),
        ("Meet on 3/4/24", "Meet on 4/3/2024", differs("dates", "3/4", "4/3")),
        ("Meet in Q3", "Meet in Q4", differs("dates", "quarter 3", "quarter 4")),
        ("Meet today", "Meet tomorrow", differs("dates", "day 0", "day +1")),
        ("Meet today", "Meet", None),
        ("Meet tomorrow", "Meet", only_one("dates", "day +1")),
        ("Meet today at 3pm", "Meet", only_one("dates", "15:00")),
        ("Meet today in 2023", "Meet", only_one("dates", "2023")),
        ("Meet in the next 2 weeks", "Meet in the last 2 weeks", differs("dates", "next", "last")),
        ("Meet in the previous few days", "Meet in the past few days", None),
        ("Meet in the next 30 days", "Meet in 30 days", None),
        ("Met in the last 30 days", "Met in 30 days", only_one("dates", "last")),
        ("Meet last night", "Meet tonight", differs("dates", "night last", "day 0")),
    ],
)
def test_times_must_agree_unless_today_is_left_out(asked: str, cached: str, expected: Objection | None) -> None:
    left, right = take_dates(asked)[0], take_dates(cached)[0]
    assert object_to_dates(left, right) == expected
    assert (object_to_dates(right, left) is None) == (expected is None)
    if not right:
        assert object_to_dates(right, left) == expected


@pytest.mark.parametrize(
    ("asked", "cached", "expected"),
    [
        ("scope 1", "scope 2", differs("codes", "scope 1", "scope 2")),
        ("scope 1 and v2.1", "scope 1 and v2.2", differs("codes", "version 2.1", "version 2.2")),
        ("scope 1", "scope", only_one("codes", "scope 1")),
        ("scope 1 and iso 5", "scope", only_one("codes", "iso 5")),
        ("scope 1", "scope i", only_one("codes", "scope 1")),
        ("scope iv", "scope 4", None),
    ],
)
def test_codes_must_agree(asked: str, cached: str, expected: Objection | None) -> None:
    left, right = take_codes(asked)[0], take_codes(cached)[0]
    assert object_to_codes(left, right) == expected
    if expected is None or not right:
        assert object_to_codes(right, left) == expected


@pytest.mark.parametrize(("one", "other", "alike"), ALIKE)
def test_terms_are_alike_if_they_mean_the_same(one: str, other: str, alike: bool) -> None:
    assert are_alike(term(one), term(other)) is are_alike(term(other), term(one)) is alike


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [("hot", "cold", "antonyms"), ("hot", "day", ""), ("hot", "hot", ""), ("hot", "garden", ""), ("hot", "red", "")],
)
def test_terms_exclude_each_other_only_on_different_sides_of_a_line(one: str, other: str, name: str) -> None:
    assert exclude_each_other(term(one), term(other)) == exclude_each_other(term(other), term(one)) == name
