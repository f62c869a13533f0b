"""Detects whether a file uses decimal points or decimal commas.

`1,234` and `1.234` can be thousands or fractions. All number cells are checked first: a cell that is valid in only one
notation (`0.5`, `1.234,56`) decides for the whole file. A file with contradicting cells, or with an ambiguous cell and
none that decides, is rejected.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache

CHARACTERS_MAX = 60
NUMBERS_KEPT = 16_384
"""Each cell is read three times, and usage files repeat their numbers."""
FRACTION_OF_TOKENS_MAX = 2
"""`12.0` is a count written as a fraction; `1.000` looks like a thousand."""
_GROUPS = "'\u2019 \u00a0\u202f"
_SHAPE = re.compile(
    r"(?P<open>\()?(?P<sign>[-+\u2212])?(?P<before>US\$|\$|USD ?)?(?P<late_sign>[-+\u2212])?"
    rf"(?P<body>[0-9][0-9.,{_GROUPS}]*|[.,][0-9]+)"
    r"(?P<exponent>[eE][-+]?[0-9]{1,3})?(?P<after> ?USD)?(?P<close>\))?",
    re.ASCII,
)


class Notation(Enum):
    """The decimal separator of a file."""

    POINT = "."
    COMMA = ","


_OTHER = {Notation.POINT: ",", Notation.COMMA: "."}
_BODIES = {
    notation: re.compile(
        rf"(?P<plain>[0-9]*)(?:{re.escape(notation.value)}(?P<fraction>[0-9]+))?"
        rf"|(?P<grouped>[1-9][0-9]{{0,2}}(?:(?P<group>[{re.escape(_OTHER[notation])}{_GROUPS}])[0-9]{{3}})"
        rf"(?:(?P=group)[0-9]{{3}})*)(?:{re.escape(notation.value)}(?P<rest>[0-9]+))?",
        re.ASCII,
    )
    for notation in Notation
}


@dataclass(frozen=True)
class Number:
    """A cell's number in each notation. `is_amount`: it has a currency sign or the parentheses of accounting.

    `readings` maps a notation to (value, digits behind the separator); it has one or two. `1.2E+08` was rounded by a
    spreadsheet, whereas programs write small amounts as `1.6e-3`.
    """

    readings: dict[Notation, tuple[Decimal, int]]
    is_amount: bool
    exponent: int | None = None

    @property
    def evidence(self) -> Notation | None:
        """The only possible notation. None if both are possible."""
        return next(iter(self.readings)) if len(self.readings) == 1 else None

    @property
    def is_ambiguous(self) -> bool:
        """Whether the value depends on the notation."""
        return len({value for value, _ in self.readings.values()}) > 1

    def read(self, notation: Notation) -> tuple[Decimal, int]:
        """Value and digits behind the separator. Raises KeyError if the notation is impossible."""
        return self.readings[notation]


@lru_cache(maxsize=NUMBERS_KEPT)
def parse_number(text: str) -> Number | None:
    """The possible readings of a cell. None if it isn't a number in any notation. Reads at most 60 characters."""
    shape = _SHAPE.fullmatch(text) if len(text) <= CHARACTERS_MAX else None
    if shape is None or not _is_sound(shape):
        return None
    exponent = int(shape["exponent"][1:]) if shape["exponent"] else None
    is_negative = bool(shape["open"]) or (shape["sign"] or shape["late_sign"]) in {"-", "\u2212"}
    readings = {}
    for notation in Notation:
        found = _body(shape["body"].rstrip(), notation, has_exponent=exponent is not None)
        if found:
            value = found[0].scaleb(exponent or 0)
            readings[notation] = (-value if is_negative else value, found[1])
    is_amount = any(shape[name] for name in ("open", "before", "after"))
    return Number(readings, is_amount, exponent) if readings else None


def _is_sound(shape: re.Match[str]) -> bool:
    """Whether there is at most one sign and parentheses are paired."""
    signs = sum(1 for name in ("open", "sign", "late_sign") if shape[name])
    return signs <= 1 and bool(shape["open"]) == bool(shape["close"]) and not (shape["before"] and shape["after"])


def _body(text: str, notation: Notation, *, has_exponent: bool) -> tuple[Decimal, int] | None:
    found = _BODIES[notation].fullmatch(text)
    if found is None or (has_exponent and found["grouped"]):
        return None
    fraction = found["fraction"] or found["rest"] or ""
    whole = re.sub(r"[^0-9]", "", found["grouped"] or found["plain"] or "0")
    return Decimal(f"{whole}.{fraction}" if fraction else whole), len(fraction)
