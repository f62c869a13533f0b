"""Compares whitespace where it matters: in quotations, and at the start of lines."""

import re

from cache_app.guards.objection import Objection, only_one

WORD = re.compile(r"\w+")
QUOTED = re.compile(r"\"([^\"\n]*)\"|`([^`\n]*)`|“([^”\n]*)”")
INDENTATION = re.compile(r"(?<=\n)[^\S\n]*(?=\S)")


def object_to_layout(asked: str, cached: str) -> Objection | None:
    """Object if texts of the same words have other blanks in a quotation, or indent their lines in another way."""
    if asked == cached or WORD.findall(asked.lower()) != WORD.findall(cached.lower()):
        return None
    quoted = [_blanks_in_quotations(text) for text in (asked, cached)]
    if len(quoted[0]) == len(quoted[1]) and quoted[0] != quoted[1]:
        return only_one("symbols", "blanks in a quotation")
    if INDENTATION.findall(asked) != INDENTATION.findall(cached):
        return only_one("symbols", "an indentation")
    return None


def _blanks_in_quotations(text: str) -> list[list[str]]:
    """The runs of blanks in each quotation that has words."""
    quoted = ("".join(match.groups("")) for match in QUOTED.finditer(text))
    return [re.findall(r"\s+", each) for each in quoted if WORD.search(each)]
