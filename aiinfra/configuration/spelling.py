"""Finds misspelled settings: variables that look like settings but are not used."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from aiinfra.configuration.table import SETTINGS

PREFIX = "AIINFRA_"
ALIKE = 0.85
"""Minimum difflib ratio for a misspelling: one or two letters of a setting's name."""


def misspelled(names: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Unknown variables, each with the setting that was probably meant ("" if none is similar).

    Includes those with our prefix and those that nearly match a setting's name. `known` are names read besides the
    settings.
    """
    known = {*SETTINGS, *known}
    unknown = {name: _meant(name) for name in sorted(names) if name not in known and re.fullmatch(r"\w+", name)}
    return {name: meant for name, meant in unknown.items() if meant or name.upper().startswith(PREFIX)}


def _meant(name: str) -> str:
    """A wrong case is a misspelling, too. Short names, such as HOST and PORT, are similar by chance."""
    if name.upper() in SETTINGS:
        return name.upper()
    alike = get_close_matches(name.upper(), SETTINGS, n=1, cutoff=ALIKE) if len(name) > 7 else []
    return alike[0] if alike else ""
