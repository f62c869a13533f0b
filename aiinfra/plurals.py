"""Counts with their noun."""


def plural(number: int, noun: str) -> str:
    """`1 call`, `1,200 calls`. For nouns whose plural adds an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
