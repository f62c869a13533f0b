"""Collects and compresses the static files, but only when they have changed: it takes seconds of CPU."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def collect() -> None:
    """Bring STATIC_ROOT up to date. An interrupted run is repeated: its fingerprint is written last."""
    stored, current = Path(settings.DATA_DIR) / "static_files.sha256", _fingerprint()
    if stored.exists() and stored.read_text(encoding="utf-8") == current and Path(settings.STATIC_ROOT).is_dir():
        return
    stored.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    stored.write_text(current, encoding="utf-8")


def _fingerprint() -> str:
    """A hash of everything that the collected files depend on, without reading the files."""
    return hashlib.sha256("\n".join(_inputs()).encode()).hexdigest()


def _inputs() -> Iterator[str]:
    yield f"{settings.STATIC_ROOT} {settings.STORAGES['staticfiles']}"
    yield from (f"{package} {version(package)}" for package in ("django", "whitenoise", "brotli"))
    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = Path(storage.path(path)).stat()
            yield f"{path} {stat.st_size} {stat.st_mtime_ns}"
