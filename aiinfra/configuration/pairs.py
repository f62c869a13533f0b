"""Value types for lists in OpenTelemetry's variables."""

import re
from dataclasses import dataclass

PAIR = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=[^,=][^,]*", re.ASCII)


@dataclass(frozen=True)
class Pairs:
    """`key=value` pairs, separated by commas. Commas in values are percent-encoded. The result is the text."""

    range: str = "`key=value` pairs"
    is_secret: bool = False

    def parse(self, text: str) -> str:
        """See Kind."""
        if not text.isprintable() or not all(PAIR.fullmatch(pair) for pair in text.rstrip(", ").split(",")):
            raise ValueError("must be key=value pairs separated by commas")
        return text


class Words:
    """Some of a few words, separated by commas."""

    is_secret = False

    def __init__(self, *words: str) -> None:
        self._words = words
        self.range = "some of " + ", ".join(f"`{word}`" for word in words)

    def parse(self, text: str) -> list[str]:
        """The words in lowercase."""
        words = [part.strip().lower() for part in text.split(",") if part.strip()]
        if wrong := [word for word in words if word not in self._words]:
            raise ValueError(f"must be some of {', '.join(self._words)}, separated by commas, not {wrong[0]!r}")
        return words


class Names:
    """Names, separated by commas."""

    range = "names, separated by commas"
    is_secret = False

    def parse(self, text: str) -> list[str]:
        """See Kind."""
        if not text.isprintable():
            raise ValueError("must not contain control characters")
        return [part.strip() for part in text.split(",") if part.strip()]
