"""Halves and quarters in words and mixed numbers, as decimal numbers: half an hour, two and a half, 1 1/2."""

import re

SMALL = {
    word: value
    for value, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
}
NUMBER = rf"(?:\d{{1,6}}|{'|'.join(SMALL)})"
HINT = re.compile(r"half|quarter|\d\s\d{1,2}/\d", re.IGNORECASE)
"""Without any of these no pattern fits."""
PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\bhalf\s+a\s+dozen\b", "6"),
        (r"\b(?:an?|one)\s+([^\W\d_]{1,20})\s+and\s+a\s+half\b", r"1.5 \1"),
        (r"\bhalf\s+an?\s+(?=[^\W\d_])", "0.5 "),
        (r"\bthree[\s-]quarters\s+of\s+an?\s+(?=[^\W\d_])", "0.75 "),
        (r"\b(?:(?:an?|one)\s+)?quarter\s+of\s+an?\s+(?=[^\W\d_])", "0.25 "),
    )
)
AND_A_HALF = re.compile(rf"\b({NUMBER})\s+(?:([^\W\d_]{{1,20}})\s+)?and\s+a\s+half\b", re.IGNORECASE)
MIXED = re.compile(r"(?<![\d.,/])(\d{1,6})\s(\d{1,2})/(\d{1,2})(?![\d/])")


def with_decimals(text: str) -> str:
    """The text with decimal numbers in place of fractions whose digits would not distinguish them."""
    if not HINT.search(text):
        return text
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return MIXED.sub(_mixed, AND_A_HALF.sub(_and_a_half, text))


def _and_a_half(match: re.Match[str]) -> str:
    whole = SMALL.get(match[1].lower()) or int(match[1])
    return f"{whole}.5 {match[2] or ''}"


def _mixed(match: re.Match[str]) -> str:
    whole, numerator, denominator = (int(part) for part in match.groups())
    return f"{whole + numerator / denominator:g}" if 0 < numerator < denominator else match[0]
