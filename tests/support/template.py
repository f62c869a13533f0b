"""A migrated SQLite database, created once and copied by each test process.

Migrations take most of the start of a test process, so the first process keeps the result and the others copy it.
`migrate` still runs on the copy and finds nothing to do. The file name depends on the migrations and the product code
that they import, so a changed migration never uses an old template.
"""

import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("aiinfra", "queue_app", "cache_app", "cost_app")
OUR_IMPORT = re.compile(rf"^\s*(?:from|import) ((?:{'|'.join(PACKAGES)})[\w.]*)(?: import (.*))?", re.MULTILINE)
CACHE = ROOT / ".test-database"
GIVEN = "TESTS_DATABASE_TEMPLATE"
"""Overrides the template's path if the changed code doesn't affect migrations, as in mutation testing."""


def template_path() -> Path:
    """The path of the template for this code, which may not exist yet."""
    given = os.environ.get(GIVEN)
    return Path(given) if given else CACHE / f"{_fingerprint()}.sqlite3"


def _fingerprint() -> str:
    digest = hashlib.sha256(version("django").encode())
    for file in sorted(_sources()):
        digest.update(b"\0".join((bytes(file.relative_to(ROOT)), file.read_bytes(), b"")))
    return digest.hexdigest()[:16]


def _sources() -> set[Path]:
    """The migrations, the modules that they import, and those modules' imports from their own package."""
    found: set[Path] = set()
    waiting = [file for package in PACKAGES for file in (ROOT / package).rglob("migrations/*.py")]
    while waiting:
        file = waiting.pop()
        found.add(file)
        imported = {ROOT / f"{name.replace('.', '/')}.py" for name in _imports(file)} - found
        is_migration = file.parent.name == "migrations"
        waiting += [each for each in imported if each.exists() and (is_migration or each.parent == file.parent)]
    return found


def _imports(file: Path) -> Iterator[str]:
    for package, names in OUR_IMPORT.findall(file.read_text(encoding="utf-8")):
        yield package
        yield from (f"{package}.{name}" for name in re.findall(r"\w+", names))


class Template:
    """Use in one process: `begin`, then migrate, then `keep`.

    Processes that start at the same time wait in `begin` while the first one migrates. The lock is released when its
    process ends, so after a failure before `keep`, the next process tries.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = ExitStack()

    def begin(self, database: Path) -> None:
        """Copy the template to the path of the test database. If there is none, hold the lock until `keep`."""
        self._path.parent.mkdir(exist_ok=True)
        lock = self._lock.enter_context((self._path.parent / "template.lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        if self._path.exists():
            shutil.copyfile(self._path, database)
            self._lock.close()

    def keep(self, database: Path) -> None:
        """Store the migrated database as the template and delete older ones, unless the template exists."""
        with self._lock:
            if not self._path.exists():
                self._replace(database)

    def _replace(self, database: Path) -> None:
        new = self._path.parent / "template.new"
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(new)) as copy:
            source.backup(copy)
        for old in self._path.parent.glob("*.sqlite3"):
            old.unlink()
        new.rename(self._path)
