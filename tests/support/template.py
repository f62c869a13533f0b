"""A migrated SQLite database, made once and copied by each test process.

Migrating takes 5 s of CPU in every process that runs tests; using a copy takes 0.1 s. `migrate` still runs on the copy
and applies what is missing. The file name depends on all code that a migration can read, so changed code never meets an
old template.
"""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("aiinfra", "queue_app", "cache_app", "cost_app")
CACHE = ROOT / ".test-database"
GIVEN = "TESTS_DATABASE_TEMPLATE"
"""The variable that names the template where code is changed that no migration reads, as in mutation testing."""


def template() -> Path:
    """Where the template for this code is, or belongs."""
    given = os.environ.get(GIVEN)
    return Path(given) if given else CACHE / f"{_fingerprint()}.sqlite3"


def _fingerprint() -> str:
    digest = hashlib.sha256(version("django").encode())
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(b"\0".join((bytes(file.relative_to(ROOT)), file.read_bytes(), b"")))
    return digest.hexdigest()[:16]


def begin_with(source: Path, database: Path) -> None:
    """Copy the template, where there is one, to the path of the test database."""
    if source.exists():
        shutil.copyfile(source, database)


def keep(database: Path, target: Path) -> None:
    """Make a migrated database the template, in the place of older ones. Processes may do so at the same time."""
    target.parent.mkdir(exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(fresh)) as copy:
        source.backup(copy)
    for old in target.parent.glob("*.sqlite3"):
        old.unlink(missing_ok=True)
    fresh.rename(target)
