"""A guard's objection to serving a candidate."""

from dataclasses import dataclass

REASON_LENGTH = 200


@dataclass(frozen=True)
class Objection:
    """The guard's name and the reason shown to users."""

    guard: str
    reason: str


def differs(guard: str, asked: str, cached: str) -> Objection:
    """The two texts name different things."""
    return Objection(guard, f"one question mentions {_quoted(asked)}, the other {_quoted(cached)}")


def only_one(guard: str, what: str) -> Objection:
    """Only one text names something."""
    return Objection(guard, f"only one question mentions {_quoted(what)}")


def _quoted(text: str) -> str:
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"'
