"""Value types: how a variable's text is parsed, and which texts are valid.

`range` is the text in the documentation. `parse` gets the text without surrounding whitespace, and raises ValueError
with a message that follows the variable's name: "must be between 1 and 65535".
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off"}


class Kind(Protocol[T_co]):
    """A value type."""

    @property
    def range(self) -> str:
        """The accepted values, for the documentation."""
        ...

    @property
    def is_secret(self) -> bool:
        """Whether an error must not repeat the value."""
        ...

    def parse(self, text: str) -> T_co:
        """The value. Raises ValueError."""
        ...


@dataclass(frozen=True)
class Whole:
    """An integer in ASCII digits: no exponent, separators, or digits of other scripts."""

    low: int
    high: int
    is_secret: bool = False

    @property
    def range(self) -> str:
        """Both ends are included."""
        return f"{self.low} to {self.high}"

    def parse(self, text: str) -> int:
        """See Kind."""
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise ValueError(f"must be a whole number between {self.low} and {self.high}")
        if not self.low <= int(text) <= self.high:
            raise ValueError(f"must be between {self.low} and {self.high}")
        return int(text)


PORT = Whole(1, 65_535)


@dataclass(frozen=True)
class Decimal:
    """A number with an optional fraction, in ASCII digits: no exponent, infinity, or NaN."""

    low: float
    high: float
    is_secret: bool = False

    @property
    def range(self) -> str:
        """Both ends are included."""
        return f"{self.low:g} to {self.high:.0f}"

    def parse(self, text: str) -> float:
        """See Kind."""
        ends = f"{self.low:g} and {self.high:.0f}"
        if not re.fullmatch(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})", text):
            raise ValueError(f"must be a number between {ends}")
        if not self.low <= float(text) <= self.high:
            raise ValueError(f"must be between {ends}")
        return float(text)


@dataclass(frozen=True)
class Switch:
    """On or off."""

    range: str = "true or false"
    is_secret: bool = False

    def parse(self, text: str) -> bool:
        """1/0, true/false, yes/no, on/off, case-insensitive."""
        if text.lower() not in TRUE_WORDS | FALSE_WORDS:
            raise ValueError("must be true or false")
        return text.lower() in TRUE_WORDS


def listed(words: list[str]) -> str:
    """`a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


class Choice:
    """One of a few words, case-insensitive."""

    is_secret = False

    def __init__(self, *words: str) -> None:
        self._words = {word.lower(): word for word in words}

    @property
    def range(self) -> str:
        """The words."""
        return listed([f"`{word}`" for word in self._words.values()])

    def parse(self, text: str) -> str:
        """The word as the table spells it."""
        if text.lower() not in self._words:
            raise ValueError(f"must be {listed(list(self._words.values()))}")
        return self._words[text.lower()]


@dataclass(frozen=True)
class Text:
    """Any text without control characters."""

    range: str = "text"
    is_secret: bool = False

    def parse(self, text: str) -> str:
        """See Kind."""
        if not text.isprintable():
            raise ValueError("must not contain control characters")
        return text


class ProviderKey:
    """A key for an HTTP header, which allows only visible ASCII characters."""

    range = "visible ASCII characters"
    is_secret = True

    def parse(self, text: str) -> str:
        """See Kind."""
        if not re.fullmatch(r"[!-~]+", text):
            raise ValueError("must be visible ASCII characters without spaces")
        return text


class Secrets:
    """Secrets, separated by commas."""

    range = "secrets, separated by commas"
    is_secret = True

    def parse(self, text: str) -> list[str]:
        """See Kind."""
        if not text.isprintable():
            raise ValueError("must not contain control characters")
        return [part.strip() for part in text.split(",") if part.strip()]


class Directory:
    """A directory, which may not exist yet. The result is an absolute path."""

    range = "a directory"
    is_secret = False

    def parse(self, text: str) -> Path:
        """See Kind."""
        path = Path(text).expanduser().resolve()
        existing = next((each for each in (path, *path.parents) if each.exists()), path)
        if not existing.is_dir():
            raise ValueError("must be a directory")
        return path
