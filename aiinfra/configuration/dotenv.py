"""Reads files of `NAME=value` lines the way common dotenv tools do.

A `#` after whitespace begins a comment, except in quotes. Single quotes keep the text literally; double quotes support
\\n, \\t, \\" and \\\\. A leading `export` is allowed. Values span one line and cannot refer to other variables.
"""

import os
import re
from pathlib import Path

ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\s*=\s*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>[^'"\s#]\S*(?:\s+[^\s#]\S*)*|))
    (?:\s*|\s+\#.*)""",
    re.VERBOSE,
)


class UnreadableLineError(ValueError):
    """A line that is neither empty nor a comment nor `NAME=value`; the message has its number but not its text."""


def load_dotenv(path: Path) -> None:
    """Load the lines of a file into the environment; variables that are already set, even to nothing, keep their value.

    Raises UnreadableLineError and OSError.
    """
    if path.is_file():
        for name, value in parsed(path.read_text(encoding="utf-8-sig", errors="replace")).items():
            os.environ.setdefault(name, value)


def parsed(text: str) -> dict[str, str]:
    """The variables of a file; the last line of a name wins. Raises UnreadableLineError."""
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None or "\0" in line:
            raise UnreadableLineError(f"line {number} must be NAME=value; quote a value that starts with # or a quote")
        values[match["name"]] = _value(match)
    return values


def _value(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda escaped: ESCAPES.get(escaped[1], escaped[0]), match["double"])
    return match["single"] if match["single"] is not None else match["plain"] or ""
