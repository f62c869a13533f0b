"""File locks as another process sees them."""

import fcntl
from pathlib import Path


def is_locked(path: str) -> bool:
    """Whether the file is locked."""
    with Path(path).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
