"""Generated secrets: created on first use in a file that only the current user can read."""

import contextlib
import os
import secrets
from pathlib import Path


def secret(path: Path) -> str:
    """The secret in the file, without whitespace around it; created if missing. Raises OSError."""
    if not path.exists():
        _write_new(path)
    return path.read_text(encoding="utf-8").strip()


def _write_new(path: Path) -> None:
    """Links a complete file into place, so that processes that start together all read the same secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()
