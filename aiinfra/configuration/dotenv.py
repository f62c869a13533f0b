"""Files of `NAME=value` lines, as the common dotenv tools read them.

A `#` after a blank begins a comment; in quotes it does not. Single quotes keep the text as it is; double quotes know
\\n, \\t, \\" and \\\\. `export` in front is allowed. Values span one line, and refer to no other variables.
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
    """A line that is neither empty nor a comment nor `NAME=value`; the message has its number and not its text."""


def load_dotenv(path: Path) -> None:
    """Put the lines of a file into the environment; a variable that is set there keeps its value, an empty one too.

    Raises UnreadableLineError and OSError.
    """
    if path.is_file():
        for name, value in parsed(path.read_text(encoding="utf-8-sig", errors="replace")).items():
            os.environ.setdefault(name, value)


def parsed(text: str) -> dict[str, str]:
    """The variables of a file; the last line of a name holds. Raises UnreadableLineError."""
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
