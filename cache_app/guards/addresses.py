"""Compares names of files, paths, and web addresses, where capitals and the scheme count.

Careless typing drops capitals everywhere else, so a word counts as an address only by its form: a known file ending, a
scheme, a path from the root, or a path after a word such as "branch".
"""

import re

from cache_app.guards.objection import Objection, differs
from cache_app.guards.tables import words

URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s<>\"'`]+", re.IGNORECASE)
PATH = re.compile(r"(?<![\w./\\:~-])(?:[~./\\]|[A-Za-z]:\\)?[\w./\\~-]*[\w/]")
ROOTED = re.compile(r"[~.]{0,2}/[\w.-]+/?|[A-Za-z]:\\")
AFTER = re.compile(
    r"\b(?:branch|path|folder|directory|repo|repository|bucket|topic)(?:\s+(?:is|named|called))?\s+([\w.-]+(?:/[\w.-]+)+)",
    re.IGNORECASE,
)
TRAILING = ".,;:!?)]}'\"/"


def object_to_addresses(asked: str, cached: str) -> Objection | None:
    """Object if each text has an address that the other does not have."""
    left, right = _addresses(asked), _addresses(cached)
    if left <= right or right <= left:
        return None
    return differs("codes", min(left - right), min(right - left))


def _addresses(text: str) -> set[str]:
    found = {_with_plain_host(match[0].rstrip(TRAILING)) for match in URL.finditer(text)}
    rest = URL.sub(" ", text)
    found |= {match[1] for match in AFTER.finditer(rest)}
    return found | {match[0] for match in PATH.finditer(rest) if _is_file(match[0]) or ROOTED.match(match[0])}


def _with_plain_host(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"


def _is_file(written: str) -> bool:
    """Whether it ends like a file, and is not a library such as Node.js."""
    name, _, ending = written.lower().rpartition(".")
    return bool(name) and ending in words("file_endings") and name not in words("libraries")
