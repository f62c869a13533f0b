"""A disk of a few megabytes, which a test can fill and free."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCKS = (1024 * 1024, 4096)
NOT_TESTED = "A FULL DISK WAS NOT TESTED: mounting a small disk needs root"


class SmallDisk:
    """A mounted directory that is accessible to all users."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Fill the disk until not even a page fits."""
        with self._filler.open("wb", buffering=0) as file:
            for size in BLOCKS:
                while _takes(file.fileno(), size):
                    pass

    def free(self) -> None:
        """Free the space again."""
        self._filler.unlink(missing_ok=True)


def _takes(file: int, size: int) -> bool:
    try:
        return os.write(file, b"x" * size) == size
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Skips the test where mounting is not allowed; fails it in CI, where a skip would go unnoticed."""
    path = Path(tempfile.mkdtemp())
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        if mounted.returncode:
            report = pytest.fail if os.environ.get("AIINFRA_CI") else pytest.skip
            report(f"{NOT_TESTED} ({mounted.stderr.strip()})")
        yield SmallDisk(path)
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", str(path)], check=True)
        path.rmdir()
