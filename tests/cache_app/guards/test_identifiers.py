"""Capitals, joints, and the order of parts in identifiers and acronyms."""

from string import ascii_lowercase

import pytest

from cache_app.guards.identifiers import object_to_case, object_to_compounds, object_to_letters
from cache_app.guards.objection import differs

CASES = [
    ("Is userId set here?", "Is userID set here?", ("userId", "userID")),
    ("Is userId set here?", "Is userid set here?", ("userId", "userid")),
    ("Is a payMent set here?", "Is a payment set here?", None),
    ("Is a mW source big?", "Is a MW source big?", ("mW", "MW")),
    ("What does FOO print here?", "What does foo print here?", ("FOO", "foo")),
    ("What does PDF print here?", "What does pdf print here?", None),
    ("What does XKC print here?", "What does xkc print here?", None),
    ("What does E print here?", "What does e print here?", None),
    ("Is the variable Foo set?", "Is the variable foo set?", ("Foo", "foo")),
    ("Is the Foo variable set?", "Is the foo variable set?", ("Foo", "foo")),
    ("variable Foo is set", "variable foo is set", ("Foo", "foo")),
    ("Is the variable of Foo set?", "Is the variable of foo set?", None),
    ("Is the Foo of variable set?", "Is the foo of variable set?", None),
    ("Is the class Usb set?", "Is the class usb set?", None),
    ("Is the unit Mg right?", "Is the unit mg right?", ("Mg", "mg")),
    ("Is the unit Mgs right?", "Is the unit mgs right?", None),
    ("Is it so? Foo variable", "Is it so? foo variable", None),
    ("Foo variable is set", "foo variable is set", None),
    ("When can I use a variable?", "When can i use a variable?", None),
    ("Can variable I be set?", "Can variable i be set?", None),
    ("Is the variable Été set?", "Is the variable été set?", None),
    ("What does the Foo and bar mean?", "What does the foo and Bar mean?", ("Foo", "foo")),
    ("What does the Foo and Bar mean?", "What does the foo and bar mean?", None),
    ("What does foo() print?", "What does foo print()?", ("foo", "print")),
    ("What does foo() print?", "What does foo() print?", None),
]
COMPOUNDS = [
    ("Is foo.bar set?", "Is bar.foo set?", ("order", "foo.bar", "bar.foo")),
    ("Is foo.bar set?", "Is foo:bar set?", ("symbols", "foo.bar", "foo:bar")),
    ("Is foo.bar set?", "Is Foo.Bar set?", None),
    ("Is foo.foo set?", "Is foo.foo.foo set?", ("order", "foo.foo", "foo.foo.foo")),
    ("Is foo-bar set?", "Is foo/bar set?", None),
    ("Is foo-bar set?", "Is foo.bar set?", None),
    ("Is 1.2 set?", "Is 1:2 set?", None),
    ("Is foo.bar or bar.foo set?", "Is foo.bar set?", None),
    ("Is foo.bar or bar.foo set?", "Is foo:bar set?", ("symbols", "foo.bar", "foo:bar")),
    ("Is foo.bar set?", "Is one.two set?", None),
]
LONGEST = ".".join(ascii_lowercase[:20])
TOO_LONG = ".".join(ascii_lowercase[:21])


@pytest.mark.parametrize(("asked", "cached", "apart"), CASES)
def test_capitals_count_in_identifiers_and_beside_nouns_of_code(
    asked: str, cached: str, apart: tuple[str, str] | None
) -> None:
    assert object_to_case(asked, cached) == (differs("spelling", *apart) if apart else None)
    assert (object_to_case(cached, asked) is None) == (apart is None)


@pytest.mark.parametrize(
    ("asked", "cached", "apart"),
    [
        ("Is vitamin B good?", "Is vitamin C good?", ("B", "C")),
        ("Is vitamin B or K good?", "Is vitamin B or C good?", ("B, K", "B, C")),
        ("Is B to C ok?", "Is B to C or B ok?", ("B, C", "B, B, C")),
        ("Is vitamin B good?", "Is vitamin good?", None),
        ("Is vitamin B or K good?", "Is vitamin K or B good?", None),
    ],
)
def test_capital_letters_that_name_things_must_agree(asked: str, cached: str, apart: tuple[str, str] | None) -> None:
    assert object_to_letters(asked, cached) == (differs("entities", *apart) if apart else None)
    assert object_to_letters(cached, asked) == (differs("entities", *reversed(apart)) if apart else None)


@pytest.mark.parametrize(("asked", "cached", "apart"), COMPOUNDS)
def test_the_order_the_number_and_the_joints_of_parts_count(
    asked: str, cached: str, apart: tuple[str, str, str] | None
) -> None:
    assert object_to_compounds(asked, cached) == (differs(*apart) if apart else None)
    back = (apart[0], apart[2], apart[1]) if apart else None
    assert object_to_compounds(cached, asked) == (differs(*back) if back else None)


def test_the_first_difference_in_the_order_of_parts_is_reported() -> None:
    asked = " ".join(f"{letter}1.{letter}2" for letter in "zyxwvutsrqponm")
    cached = " ".join(f"{letter}2.{letter}1" for letter in "zyxwvutsrqponm")
    assert object_to_compounds(asked, cached) == differs("order", "m1.m2", "m2.m1")


@pytest.mark.parametrize(("joined", "refused"), [(LONGEST, True), (TOO_LONG, False)])
def test_only_compounds_of_up_to_20_parts_are_compared(joined: str, refused: bool) -> None:
    assert (object_to_compounds(joined, joined[::-1]) is not None) is refused
