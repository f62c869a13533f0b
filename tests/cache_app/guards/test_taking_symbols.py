"""The symbols that are read from a text, and the first difference between those of two texts."""
# ruff: noqa: RUF001 - the tests need look-alike characters

import pytest

from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.parsing import parse
from cache_app.guards.symbols import object_to_symbols, take_symbols


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("plain text", ()),
        ("see (item 8) here", ()),
        ("Explain <b>", ("<b", ">")),
        ("- one", ()),
        ("# one", ()),
        ("*foo* bar", ()),
        ("**foo**", ()),
        ("foo* bar", ("*",)),
        ("foo* *bar", ("*", "*")),
        ("Is it free*", ()),
        ("Is it free* or a*", ("*", "*")),
        ("-r and --all", ("-r", "--all")),
        (":) or :-(", (":)", ":-(")),
        ("2 + 2 = ?", ("+",)),
        ("why == ?", ("=", "=")),
        ("a && b :: c", ("&&", "::")),
        ("f'(t)", ("'",)),
        ("✅ or 1\u20e3", ("✅", "\u20e3")),
        ("a\u200db", ()),
        ("a\u200eb", ("\u200e",)),
        ("\ue000 or \u0378", ("\ue000", "\u0378")),
        ("20 ° or 100 % of é中", ()),
        ("∑ → ∏", ("∑", "→", "∏")),
    ],
)
def test_symbols_are_read_in_order_without_markup(text: str, symbols: tuple[str, ...]) -> None:
    assert take_symbols(text) == symbols


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a × b", "a * b"),
        ("a ⋅ b", "a * b"),
        ("a ∙ b", "a * b"),
        ("a ÷ b", "a / b"),
        ("a ∕ b", "a / b"),
        ("a ⁄ b", "a / b"),
        ("(a) \u2212b", "(a) -b"),
        ("(a) \u2010b", "(a) -b"),
        ("a ≠ b", "a != b"),
        ("a ≤ b", "a <= b"),
        ("a ≥ b", "a >= b"),
        ("Acme™ ©Brandt ®Kowalski", "Acme Brandt Kowalski"),
    ],
)
def test_two_ways_to_write_a_symbol_are_one(one: str, other: str) -> None:
    assert parse(one).text == parse(other).text
    assert parse(one).symbols == parse(other).symbols


@pytest.mark.parametrize(
    ("asked", "cached", "objection"),
    [
        ("+-", "+-", None),
        ("+-", "+*", differs("symbols", "-", "*")),
        ("+*", "+-", differs("symbols", "*", "-")),
        ("+-/", "+", only_one("symbols", "-")),
        ("+", "+-/", only_one("symbols", "-")),
        ("", "*", only_one("symbols", "*")),
    ],
)
def test_the_first_difference_is_the_reason(asked: str, cached: str, objection: Objection | None) -> None:
    assert object_to_symbols(tuple(asked), tuple(cached)) == objection
