"""The directory of an archived month: `requests.jsonl.gz`, and `manifest.json` with its counts, sum, and SHA-256.

A directory appears under its name once all of it is on the disk and has been read back; it is never changed afterward.
"""

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiinfra.fsync import fsync
from queue_app.archive.lines import Line, id_of, nano_of, text_of

REQUESTS = "requests.jsonl.gz"
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
VERSION = 1


class ArchiveError(Exception):
    """Nothing was deleted; the message says why."""


@dataclass(frozen=True)
class Counted:
    """What the lines of a file add up to. `nano` is what the attempts cost, in nano-dollars."""

    requests: int
    attempts: int
    nano: int
    sha256: str
    """Of the compressed file."""


@contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """No other run uses the archive during the block. What killed ones left behind is deleted. Raises ArchiveError."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private(root / ".lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in root.glob(f"*/*{UNFINISHED}"):
                shutil.rmtree(left)
            yield
    except BlockingIOError:
        raise ArchiveError(f"another run is using {root}") from None


def write(directory: Path, lines: Iterable[Line], about: dict[str, Any]) -> None:
    """Create the directory of a month. Raises OSError, also if it exists, and ArchiveError if it reads back wrong."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=UNFINISHED, dir=directory.parent))
    try:
        written = _write_lines(unfinished / REQUESTS, lines)
        counted = _counted(unfinished / REQUESTS)
        if written != (counted.requests, counted.attempts, counted.nano):
            raise ArchiveError(f"{directory} does not read back as it was written")
        manifest = {"version": VERSION, **about, **asdict(counted)}
        with _synced(unfinished / MANIFEST) as file:
            file.write((json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
        fsync(unfinished)
        unfinished.rename(directory)
        fsync(directory.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def verified(directory: Path) -> Counted:
    """Read a month's file and compare it with its manifest. Raises ArchiveError unless they agree."""
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
        counted = _counted(directory / REQUESTS)
        said = Counted(**{name: manifest[name] for name in asdict(counted)})
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{directory} cannot be read: {error}") from error
    if said != counted:
        raise ArchiveError(f"{directory} was changed: its manifest says {said}, the file has {counted}")
    return counted


def lines_in(directory: Path) -> Iterator[Line]:
    """The lines of a month, in the order in which the requests were accepted."""
    with gzip.open(directory / REQUESTS, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def manifest_digest(directory: Path) -> str:
    """The SHA-256 of the manifest, which has that of the file."""
    return hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()


def _write_lines(path: Path, lines: Iterable[Line]) -> tuple[int, int, int]:
    requests = attempts = nano = 0
    with _synced(path) as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        for line in lines:
            packed.write(text_of(line).encode() + b"\n")
            requests, attempts, nano = requests + 1, attempts + len(line["attempts"]), nano + nano_of(line)
    return requests, attempts, nano


def _counted(path: Path) -> Counted:
    """Raises ValueError for an invalid line, and for a request that occurs twice."""
    ids, attempts, nano = set(), 0, 0
    for line in lines_in(path.parent):
        request_id = id_of(line)
        if request_id in ids:
            raise ValueError(f"request {request_id} appears twice")
        ids.add(request_id)
        attempts, nano = attempts + len(line["attempts"]), nano + nano_of(line)
    with path.open("rb") as file:
        return Counted(len(ids), attempts, nano, hashlib.file_digest(file, "sha256").hexdigest())


def _private(path: Path, mode: str) -> Any:
    """Open a file that only this user can read."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))


@contextmanager
def _synced(path: Path) -> Iterator[Any]:
    with _private(path, "xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
