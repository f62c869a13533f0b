"""Compares times: days, months, quarters, halves, years, weekdays, clock times, and "last", "this", "next"."""

import re
from collections.abc import Callable

from cache_app.guards.objection import Objection, differs, only_one

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ORDINALS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "last": "4", "1st": "1", "2nd": "2", "3rd": "3"}
ORDINALS["4th"] = "4"
MONTH = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|" + (
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
YEAR = r"(?P<year>(?:19|20)\d\d)"

Date = tuple[str, str]
"""The kind of time and its value: ("quarter", "3"), ("year", "2024")."""


def _month(written: str) -> str:
    return next(str(at) for at, name in enumerate(MONTHS, start=1) if name.startswith(written.lower()[:3]))


def _iso(match: re.Match[str]) -> list[Date]:
    found = [("year", match["year"]), ("month", str(int(match["m"])))]
    return found + ([("day", str(int(match["d"])))] if match["d"] else [])


def _slashed(match: re.Match[str]) -> list[Date]:
    """3/4/2024 is ambiguous, so only identical spellings are equal."""
    year = match["y"] if len(match["y"]) == 4 else "20" + match["y"]
    return [("year", year), ("date", f"{int(match['one'])}/{int(match['two'])}")]


def _named(match: re.Match[str]) -> list[Date]:
    parts = match.groupdict()
    found = [("month", _month(parts["month"]))]
    found += [("day", str(int(parts["day"])))] if parts.get("day") else []
    return found + ([("year", parts["year"])] if parts.get("year") else [])


def _part(name: str) -> Callable[[re.Match[str]], list[Date]]:
    def found(match: re.Match[str]) -> list[Date]:
        which = match["which"].lower()
        value = next((ORDINALS[word] for word in ORDINALS if word == which), which)
        parts = match.groupdict()
        return [(name, value), *_short_year(parts.get("y") or parts.get("y2"))]

    return found


def _short_year(written: str | None) -> list[Date]:
    return [("year", "20" + written[-2:] if len(written) == 2 else written)] if written else []


def _clock(match: re.Match[str]) -> list[Date]:
    hour, minute = int(match["h"]), match["min"] or "00"
    half = (match["half"] or "").lower()[:1]
    hour += 12 if half == "p" and hour < 12 else -12 if half == "a" and hour == 12 else 0
    return [("time", f"{hour}:{minute}")]


def _relative(match: re.Match[str]) -> list[Date]:
    return [(match["unit"].lower(), _side(match["which"]))]


def _side(which: str) -> str:
    return {
        **dict.fromkeys(("previous", "past"), "last"),
        **dict.fromkeys(("coming", "upcoming", "following"), "next"),
        **dict.fromkeys(("current", "present"), "this"),
    }.get(which.lower(), which.lower())


SOME = r"(?:\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|few|couple\s+of|several)"
OMITTED = {("day", "0"), ("span", "next")}
"""Today, and what is next: days from now. Both are often left unsaid."""
RELATIVE_DAYS = {"today": "0", "tonight": "0", "yesterday": "-1", "tomorrow": "+1"}
BEFORE_MONTHS = ("in", "of", "by", "to", "from", "since", "until", "last", "next", "this", "and")
AFTER = "(?:" + "|".join(rf"(?<=\b{word} )" for word in BEFORE_MONTHS) + ")"
"""Where "may" and "march" are months."""
PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], list[Date]]], ...] = (
    (rf"\b{YEAR}-(?P<m>0[1-9]|1[0-2])(?:-(?P<d>[0-3]\d))?\b", _iso),
    (r"\b(?P<one>\d{1,2})[/.](?P<two>\d{1,2})[/.](?P<y>\d{4}|\d{2})\b", _slashed),
    (rf"\b{DAY}\s+(?:of\s+)?{MONTH}(?:,?\s+{YEAR})?", _named),
    (rf"\b{MONTH}\s+{DAY}\b(?!:)(?:,?\s+{YEAR})?", _named),
    (rf"\b{MONTH},?\s+{YEAR}\b", _named),
    (r"\b(?P<which>first|second|third|fourth|last(?=\s+quarter\s+of\b)|1st|2nd|3rd|4th)\s+quarter\b", _part("quarter")),
    (r"\bquarter\s+(?P<which>[1-4])\b", _part("quarter")),
    (r"\bq(?P<which>[1-4])(?:[\s/-]*(?P<y>(?:19|20)\d\d)|[\s/'-]*(?P<y2>\d\d))?\b", _part("quarter")),
    (r"\b(?P<which>[1-4])q(?P<y>\d\d(?:\d\d)?)?\b", _part("quarter")),
    (r"\b(?P<which>first|second|1st|2nd)\s+half\s+(?:of\s+)?(?=the\s+year|(?:19|20)\d\d)", _part("half")),
    (r"\bh(?P<which>[12])(?:\s*(?P<y>(?:19|20)\d\d))?\b", _part("half")),
    (r"\b(?:fy|fiscal(?:\s+year)?|financial\s+year)\s*'?(?P<y>(?:19|20)?\d\d)\b", lambda m: _short_year(m["y"])),
    (r"(?<!\w)'(?P<y>\d\d)\b(?!')", lambda m: _short_year(m["y"])),
    (rf"(?<![\d.,£$€]){YEAR}(?P<decade>s)?\b(?![.,]\d|\s?(?:%|kwh|mwh|kg|tonnes|euros?|employees))",
     lambda m: [("decade" if m["decade"] else "year", m["year"])]),
    (r"\b(?P<h>\d{1,2})(?::(?P<min>\d\d))?\s?(?P<half>[ap]\.?m\b\.?)", _clock),
    (r"\b(?P<h>\d{1,2}):(?P<min>\d\d)(?P<half>(?!\d))", _clock),
    (rf"\b(?P<month>{'|'.join(m for m in MONTHS if m not in ('may', 'march'))})\b", _named),
    (rf"{AFTER}{MONTH}(?!\w)", _named),
    (rf"\b(?P<which>{'|'.join(WEEKDAYS)})s?\b", lambda m: [("weekday", m["which"].lower()[:3])]),
    (rf"\b(?P<which>{'|'.join(RELATIVE_DAYS)})\b", lambda m: [("day", RELATIVE_DAYS[m["which"].lower()])]),
    (r"\b(?P<which>last|this|next|previous|past|coming|upcoming|following|current|present)\s+(?:calendar\s+|financial\s+|"
     r"fiscal\s+|reporting\s+)?(?P<unit>year|quarter|month|week|weekend|night|term|semester|decade|century)(?:'s|s)?\b",
     _relative),
    (rf"\b(?P<which>last|next|previous|past|coming|upcoming|following)(?=\s+{SOME}\s+(?:hour|day|week|month|year)s?\b)",
     lambda m: [("span", _side(m["which"]))]),
)  # fmt: skip
COMPILED = tuple((re.compile(pattern, re.IGNORECASE), found) for pattern, found in PATTERNS)
HINT = re.compile(
    rf"\d|quarter|half of|{'|'.join([*MONTHS, *WEEKDAYS, *RELATIVE_DAYS])}|"
    r"\b(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b|"
    r"\b(?:last|this|next|previous|past|coming|upcoming|following|current|present)\b",
    re.IGNORECASE,
)
"""No pattern can match without one of these, so most texts skip the search."""


PLACE = " \ufdd0 "
"""A noncharacter where a time stood."""
PLACES = re.compile(rf"(?:\b(?:in|on)\s+)?{PLACE.strip()}")
"""With the preposition before it, which would make a phrase of the word before ("pay in 2023")."""


def take_dates(text: str) -> tuple[frozenset[Date], str]:
    """The times of a text, and the text with times blanked out."""
    dates: list[Date] = []
    if not HINT.search(text):
        return frozenset(), text
    for pattern, found in COMPILED:
        for match in pattern.finditer(text):
            dates += found(match)
        text = pattern.sub(PLACE, text)
    return frozenset(dates), PLACES.sub(" ", text)


def object_to_dates(asked: frozenset[Date], cached: frozenset[Date]) -> Objection | None:
    """Object unless both texts name the same times."""
    if asked == cached:
        return None
    left, right = sorted(asked - cached), sorted(cached - asked)
    if left and right:
        return differs("dates", _written(left[0]), _written(right[0]))
    alone = next((each for each in [*left, *right] if each not in OMITTED), None)
    return only_one("dates", _written(alone)) if alone else None


def _written(date: Date) -> str:
    kind, value = date
    return value if kind in ("year", "time", "weekday", "date", "span") else f"{kind} {value}"
