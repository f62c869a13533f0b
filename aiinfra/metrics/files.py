"""The files in which processes record metrics, in the format of prometheus-client's multiprocess mode.

prometheus-client names them after process IDs, so they would pile up. Here they are named after slots: there are only
as many as processes run at once, and a restarted process continues the counts of its predecessor. Its own classes are
not used for writing, because they record every metric of every library in this way.
"""

import fcntl
import logging
import os
import sys
import threading
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from django.conf import settings
from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

BYTES = {"counter": 1024 * 1024, "histogram": 2 * 1024 * 1024}
"""Reserved on disk for each kind: writing to a mapped page that a full disk cannot store would kill the process."""
USED_MAX = 0.5
"""Files fuller than this are started over, as labels that are no longer used stay in them."""


class MetricFiles:
    """The files of this process, in the lowest free slot of a directory. The slot is free when the process ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, MmapedDict] = {}
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def add(self, kind: str, amounts: Mapping[str, float]) -> None:
        """Add to values by their keys. Raises OSError if the files cannot be created."""
        with self._lock:
            if not self._files:
                self._files = self._open()
            file = self._files[kind]
            for key, amount in amounts.items():
                file.write_value(key, file.read_value(key)[0] + amount, 0.0)

    def _forget(self) -> None:
        """In a forked child the files are those of its parent."""
        self._lock = threading.Lock()
        self._files = {}

    def _open(self) -> dict[str, MmapedDict]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        slot = next(number for number in count() if self._is_ours(f"{number}.lock"))
        paths = {kind: self._directory / f"{kind}_{slot}.db" for kind in BYTES}
        for kind, path in paths.items():
            _prepare(path, BYTES[kind])
        return {kind: MmapedDict(str(path)) for kind, path in paths.items()}

    def _is_ours(self, name: str) -> bool:
        """Locks of `lockf` belong to a process, so a forked child does not keep the slot of its parent occupied."""
        descriptor = os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        return True


def _prepare(file: Path, size: int) -> None:
    if file.exists() and not _can_continue(file):
        file.unlink()
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(descriptor, 0, size)
    except OSError:
        file.unlink()
        raise
    finally:
        os.close(descriptor)


def _can_continue(file: Path) -> bool:
    """Whether the counts of an earlier process can be read, and leave room for more."""
    try:
        for _ in MmapedDict.read_all_values_from_file(file):
            pass
    except Exception:
        logger.warning("metrics file is damaged and starts over", extra={"fields": {"file": file.name}})
        return False
    with file.open("rb") as content:
        used = int.from_bytes(content.read(4), sys.byteorder, signed=True)
    return 0 <= used <= USED_MAX * file.stat().st_size


directory = Path(settings.DATA_DIR) / "metrics"
_files = MetricFiles(directory)


def add(kind: str, amounts: Mapping[str, float]) -> None:
    """Add to the values of this process. Never fails: without its files, a process records nothing."""
    try:
        _files.add(kind, amounts)
    except OSError:
        logger.warning("metrics are not recorded", exc_info=True)
