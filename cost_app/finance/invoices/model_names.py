"""Maps model names in providers' files, such as dated snapshots or console names, to ours."""

import re
from collections.abc import Collection

_MONTH_AND_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_DATED = re.compile(rf"[-@](\d{{4}}-\d{{2}}-\d{{2}}|\d{{8}}|{_MONTH_AND_DAY}|latest)$", re.ASCII)
_NOTE = re.compile(r"\s*\([^)]*\)$")


def normalized(name: str) -> str:
    """`gpt-4o-2024-08-06` -> `gpt-4o`, `gpt-4-0613` -> `gpt-4`, `Claude Haiku 4.5` -> `claude-haiku-4-5`."""
    plain = _NOTE.sub("", name.strip().lower())
    if " " in plain:
        plain = plain.replace(" ", "-").replace(".", "-")
    return _DATED.sub("", plain)


def known_model(name: str, known: Collection[str]) -> str:
    """The known model that a file's name refers to. The name itself if there is none, or more than one."""
    if name in known:
        return name
    plain = normalized(name)
    if plain in known:
        return plain
    alike = [model for model in known if normalized(model) == plain]
    return alike[0] if len(alike) == 1 else name
