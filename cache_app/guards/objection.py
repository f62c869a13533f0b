"""What a guard says when it objects."""

from dataclasses import dataclass

REASON_LENGTH = 200


@dataclass(frozen=True)
class Objection:
    """The guard's name and its reason in words for people."""

    guard: str
    reason: str


def differs(guard: str, asked: str, cached: str) -> Objection:
    """The two texts name different things."""
    return Objection(guard, f"one asks for {_quoted(asked)}, the other for {_quoted(cached)}")


def only_one(guard: str, what: str) -> Objection:
    """One text names something of which the other knows nothing."""
    return Objection(guard, f"only one of the two says {_quoted(what)}")


def _quoted(text: str) -> str:
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"'
