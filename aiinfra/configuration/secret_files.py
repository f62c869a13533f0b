"""Secrets that nobody has to think of: made on first use and kept in a file that only its user can read."""

import contextlib
import os
import secrets
from pathlib import Path


def secret(path: Path) -> str:
    """The secret in the file, which is made if it is not there. Raises OSError."""
    if not path.exists():
        _write_new(path)
    return path.read_text(encoding="utf-8")


def _write_new(path: Path) -> None:
    """Linking a finished file into place lets several processes start at once: all read the first one's secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()
