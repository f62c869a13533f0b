"""Normalizes and validates names: which characters they may contain, and their normal form.

Spellings that look alike must be treated as the same name; otherwise a trailing space would bypass a budget.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from pydantic import AfterValidator, Field, StringConstraints

INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode categories of spaces, control and format characters, such as the zero-width space."""

BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols that look like a space: the fillers of Hangul, and the empty pattern of Braille."""

HIDDEN = (
    r"\u0000-\u001F\u007F-\u009F\u00AD\u034F\u061C\u17B4\u17B5\u180E\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F"
    rf"\uFEFF\uFFF9-\uFFFB{BLANKS}"
    "\U000e0001-\U000e007f"  # themselves: JSON Schema has no escape for them that Python knows too
)
HIDDEN_CHARACTER = re.compile(f"[{HIDDEN}]")
"""Characters that are invisible, hide text, or change its direction, except the joiners (U+200C, U+200D) of emoji and
of Persian and Indic words."""


def check_visible(text: str) -> str:
    """The text. Raises ValueError naming an invisible character."""
    if found := HIDDEN_CHARACTER.search(text):
        raise ValueError(f"Names must not contain invisible characters, such as U+{ord(found.group()):04X}.")
    return text


def validate_visible(text: str) -> None:
    """`check_visible` for fields of forms."""
    try:
        check_visible(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def normal_name(text: str) -> str:
    """The name in NFC, with single spaces between its words and without invisible characters. Case-sensitive.

    "" if nothing visible is left. Idempotent.
    """
    name = unicodedata.normalize("NFC", " ".join(HIDDEN_CHARACTER.sub(_space_or_nothing, text).split()))
    first, end = 0, len(name)
    while first < end and unicodedata.category(name[first]) in INVISIBLE:
        first += 1
    while end > first and unicodedata.category(name[end - 1]) in INVISIBLE:
        end -= 1
    return name[first:end]


def _space_or_nothing(found: re.Match[str]) -> str:
    """A space for line breaks and blanks; nothing for zero-width characters."""
    return " " if found.group().isspace() or found.group() in BLANKS else ""


def normal_names(texts: Iterable[str]) -> list[str]:
    """The normal forms without duplicates, in order of first occurrence, without empty ones."""
    return list(dict.fromkeys(name for text in texts if (name := normal_name(text))))


def normalize_stored(rows: Any, column: str) -> bool:
    """Store the normal form of the names in a column; whether one differed. For migrations."""
    names = rows.order_by().values_list(column, flat=True).distinct()
    others = [name for name in names.iterator() if name != normal_name(name)]
    for name in others:
        rows.filter(**{column: name}).update(**{column: normal_name(name)})
    return bool(others)


def _normal_within(most: int) -> AfterValidator:
    """Normalize and check the length again: normalization can make a name longer."""

    def normal(text: str) -> str:
        name = normal_name(text)
        if len(name) > most:
            raise ValueError(f"This must have at most {most} characters in Unicode form NFC.")
        return name

    return AfterValidator(normal)


USER_LENGTH, TAG_LENGTH, TAGS_MAX = 128, 64, 20
UserName = Annotated[str, StringConstraints(max_length=USER_LENGTH), _normal_within(USER_LENGTH)]
"""A user as a payload names them, in the normal form; "" for none."""
Tag = Annotated[str, StringConstraints(min_length=1, max_length=TAG_LENGTH), _normal_within(TAG_LENGTH)]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX), AfterValidator(normal_names)]
"""The tags of a call in a payload, in the normal form."""
