"""Compares numbers and units: digits, words, ordinals, k/m/bn, percent, any thousands separator."""

import re
from dataclasses import dataclass
from fractions import Fraction

from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.stems import stem

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = (
    *("twenty", "thirty", "forty", "fifty"),
    *("sixty", "seventy", "eighty", "ninety"),
)
ORDINALS = (
    *("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *(
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ),
)
VALUES = {
    **{word: Fraction(value) for value, word in enumerate(ONES)},
    **{word: Fraction(value) for value, word in enumerate(TENS, start=2) for value in [value * 10]},
    **{word: Fraction(value) for value, word in enumerate(ORDINALS) if value > 2},
    "dozen": Fraction(12),
    "half": Fraction(1, 2),
    "twice": Fraction(2),
    "thrice": Fraction(3),
    "pair": Fraction(2),
    "couple": Fraction(2),
}
SCALES = {"hundred": 10**2, "thousand": 10**3, "k": 10**3, "lakh": 10**5, "crore": 10**7, "trillion": 10**12} | {
    **dict.fromkeys(("million", "mn", "mio"), 10**6),
    **dict.fromkeys(("billion", "bn", "mrd"), 10**9),
}
UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("%", "percent", "pct"), ("%", 1.0)),
    **dict.fromkeys(("ns", "nanosecond"), ("time", 1e-9 / 86400)),
    **dict.fromkeys(("\u00b5s", "\u03bcs", "microsecond"), ("time", 1e-6 / 86400)),
    **dict.fromkeys(("ms", "msec", "millisecond"), ("time", 1e-3 / 86400)),
    **dict.fromkeys(("s", "second", "sec"), ("time", 1 / 86400)),
    **dict.fromkeys(("minute", "min", "mins"), ("time", 1 / 1440)),
    **dict.fromkeys(("hour", "hr", "hrs", "h"), ("time", 1 / 24)),
    **dict.fromkeys(("day",), ("time", 1.0)),
    **dict.fromkeys(("week", "wk"), ("time", 7.0)),
    **dict.fromkeys(("fortnight",), ("time", 14.0)),
    **dict.fromkeys(("month",), ("time", 365.25 / 12)),
    **dict.fromkeys(("year", "yr", "yrs"), ("time", 365.25)),
    **dict.fromkeys(("mg",), ("mass", 1e-6)),
    **dict.fromkeys(("g", "gram"), ("mass", 1e-3)),
    **dict.fromkeys(("kg", "kilo", "kilogram"), ("mass", 1.0)),
    **dict.fromkeys(("t", "tonne", "ton"), ("mass", 1e3)),
    **dict.fromkeys(("kt",), ("mass", 1e6)),
    **dict.fromkeys(("lb", "lbs", "pounds weight"), ("mass", 0.45359237)),
    **dict.fromkeys(("mm",), ("length", 1e-3)),
    **dict.fromkeys(("cm",), ("length", 1e-2)),
    **dict.fromkeys(("m", "metre", "meter"), ("length", 1.0)),
    **dict.fromkeys(("km", "kilometre", "kilometer"), ("length", 1e3)),
    **dict.fromkeys(("mile",), ("length", 1609.344)),
    **dict.fromkeys(("ft",), ("length", 0.3048)),
    **dict.fromkeys(("inch",), ("length", 0.0254)),
    **dict.fromkeys(("ml",), ("volume", 1e-3)),
    **dict.fromkeys(("l", "litre", "liter"), ("volume", 1.0)),
    **dict.fromkeys(("m3",), ("volume", 1e3)),
    **dict.fromkeys(("wh",), ("energy", 1e-3)),
    **dict.fromkeys(("kwh",), ("energy", 1.0)),
    **dict.fromkeys(("mwh",), ("energy", 1e3)),
    **dict.fromkeys(("gwh",), ("energy", 1e6)),
    **dict.fromkeys(("kw",), ("power", 1.0)),
    **dict.fromkeys(("mw",), ("power", 1e3)),
    **dict.fromkeys(("gw",), ("power", 1e6)),
    **dict.fromkeys(("kbit",), ("data", 1e-3 / 8)),
    **dict.fromkeys(("mbit",), ("data", 1 / 8)),
    **dict.fromkeys(("gbit",), ("data", 1e3 / 8)),
    **dict.fromkeys(("kb",), ("data", 1e-3)),
    **dict.fromkeys(("mb",), ("data", 1.0)),
    **dict.fromkeys(("gb",), ("data", 1e3)),
    **dict.fromkeys(("tb",), ("data", 1e6)),
    **dict.fromkeys(("£", "gbp", "pound", "quid"), ("gbp", 1.0)),
    **dict.fromkeys(("€", "eur", "euro"), ("eur", 1.0)),
    **dict.fromkeys(("$", "usd", "dollar", "buck"), ("usd", 1.0)),
    **dict.fromkeys(("cent",), ("cents", 1.0)),
    **dict.fromkeys(("¥", "jpy", "yen"), ("jpy", 1.0)),
    **dict.fromkeys(("₹", "rs", "inr", "rupee"), ("inr", 1.0)),
}
"""Unit -> its dimension and its size in the dimension's base unit (days, kilograms, meters, liters, kWh, MB)."""

NUMBER_WORD = "|".join(sorted([*VALUES, "hundred", "thousand", "million", "billion"], key=len, reverse=True))
DIGITS = (
    r"\d{1,3}(?:[ \u00a0\u202f,.'\u2019_]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)|\d+(?:[.,]\d+)?"
)
QUANTITY = re.compile(
    rf"(?P<sign>(?<!\w)-)?(?P<currency>[£€$¥₹])?\s?(?:(?<![^\W\d_])(?P<digits>{DIGITS})"
    rf"|\b(?P<words>(?:{NUMBER_WORD})(?:(?:[ -]|\sand\s)(?:{NUMBER_WORD}))*)\b)"
    r"(?:st|nd|rd|th)?[\s-]?(?P<scale>(?:thousand|hundred|million|billion|trillion|lakh|crore|bn|mn|mio|mrd|k)\b)?"
    r"(?:\s?°\s?|[\s-]*)(?P<unit>%|[£€$¥₹]|[^\W\d_]+3?)?",
    re.IGNORECASE,
)

HINT = re.compile(rf"\d|\b(?:{NUMBER_WORD})\b", re.IGNORECASE)
TWO_READINGS = re.compile(r"[1-9]\d{0,2}\.\d{3}")
"""1.000 is one in some countries and a thousand in others."""
IDENTIFIER = re.compile(r"0\d[\d ]*")
"""ZIP codes, parcels, and telephone numbers start with a zero."""
VERSION = re.compile(r"\d+\.\d*0")
"""Without a unit, 5.20 can be a version, which is not 5.2."""
ROUNDING = Fraction(1, 10**9)
"""How far two equal amounts in different units can be apart, relative to their size."""


@dataclass(frozen=True)
class Quantity:
    """An exact number of units."""

    number: Fraction
    size: float
    """The size of its unit in the dimension's base unit, 1 without a known unit."""
    dimension: str
    written: str
    spelling: str
    """The digits, if only the same ones are the same number; "" if not."""
    is_vague: bool
    """True if it may not be a number: "quick one", "one of them"."""

    @property
    def value(self) -> Fraction:
        """The amount in the dimension's base unit."""
        return self.number * Fraction(self.size)


def take_quantities(text: str) -> tuple[tuple[Quantity, ...], str]:
    """The numbers of a text, and the text without numbers and units."""
    if not HINT.search(text):
        return (), text
    matches = list(QUANTITY.finditer(text))
    return tuple(_quantity(match) for match in matches), QUANTITY.sub(_unknown_unit, text)


def _unknown_unit(match: re.Match[str]) -> str:
    """The part that stays in the text: a word after the number that is not a unit."""
    unit = match["unit"] or ""
    return " " if _unit(unit) else f" {unit} "


def _unit(written: str) -> tuple[str, float] | None:
    unit = written.lower()
    return UNITS.get(unit) or UNITS.get(unit.removesuffix("s")) or UNITS.get(stem(unit))


def _quantity(match: re.Match[str]) -> Quantity:
    written = match[0].strip()
    words, digits = (match["words"] or "").lower(), match["digits"] or ""
    number = _from_words(words) if words else _from_digits(digits)
    number *= SCALES.get((match["scale"] or "").lower(), 1) * (-1 if match["sign"] else 1)
    if match["currency"] and (match["unit"] or "").lower() == "m":
        number *= 10**6
    dimension, size = _unit(match["currency"] or match["unit"] or "") or ("", 1.0)
    vague = words in ("one", "second", "half", "pair", "couple")
    return Quantity(number, size, dimension, written, _spelling(digits, has_unit=bool(dimension)), vague)


def _spelling(digits: str, *, has_unit: bool) -> str:
    fixed = (TWO_READINGS, IDENTIFIER) if has_unit else (TWO_READINGS, IDENTIFIER, VERSION)
    return digits if any(pattern.fullmatch(digits) for pattern in fixed) else ""


def _from_digits(digits: str) -> Fraction:
    """Parse digits: 1,000, 1 000, and 1'000 are one thousand; 1.5 and 1,5 are one and a half."""
    groups = re.split(r"[^\d]", digits)
    marks = re.findall(r"[^\d]", digits)
    if not marks:
        return Fraction(digits)
    is_decimal = len(groups[-1]) != 3 or (marks.count(marks[-1]) == 1 and len(marks) > 1) or groups[0] == "0"
    whole, fraction = ("".join(groups[:-1]), groups[-1]) if is_decimal else ("".join(groups), "0")
    return Fraction(f"{whole}.{fraction}")


def _from_words(words: str) -> Fraction:
    """Parse words: "two hundred and five thousand" is 205,000."""
    total = group = Fraction(0)
    for word in re.split(r"[ -]|\sand\s", words):
        if word == "hundred":
            group = (group or 1) * Fraction(100)
        elif word in SCALES:
            total, group = total + (group or 1) * SCALES[word], Fraction(0)
        else:
            group += VALUES.get(word, 0)
    return total + group


def object_to_quantities(asked: tuple[Quantity, ...], cached: tuple[Quantity, ...]) -> Objection | None:
    """Object unless both texts have the same numbers, in any unit of a dimension. Uncertain numbers only conflict with
    certain ones.
    """
    left = [each for each in asked if not any(_equal(each, other) for other in cached)]
    right = [each for each in cached if not any(_equal(each, other) for other in asked)]
    if left and right and not (left[0].is_vague and right[0].is_vague):
        return differs("numbers", left[0].written, right[0].written)
    alone = next((each for each in [*left, *right] if not each.is_vague), None)
    return only_one("numbers", alone.written) if alone else _repeated(asked, cached)


def _repeated(asked: tuple[Quantity, ...], cached: tuple[Quantity, ...]) -> Objection | None:
    """Object if as many of the same numbers repeat another one: 1/2 and 1/3, 1/2 and 2/3."""
    one, other = (sorted((each for each in all_ if not each.is_vague), key=_value) for all_ in (asked, cached))
    apart = [pair for pair in zip(one, other, strict=False) if not _equal(*pair)]
    return differs("numbers", apart[0][0].written, apart[0][1].written) if apart and len(one) == len(other) else None


def _value(quantity: Quantity) -> Fraction:
    return quantity.value


def _equal(one: Quantity, other: Quantity) -> bool:
    if one.spelling != other.spelling or (one.dimension and other.dimension and one.dimension != other.dimension):
        return False
    if one.size == other.size:
        return one.number == other.number
    return abs(one.value - other.value) <= ROUNDING * max(abs(one.value), abs(other.value))
