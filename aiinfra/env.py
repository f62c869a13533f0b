"""Reading settings from the environment and from `.env`; a wrong value stops the start and names its variable."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}

Number = TypeVar("Number", int, float)


def load_dotenv(path: Path) -> None:
    """Put the `NAME=value` lines of a file into the environment; what is already set there wins."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            os.environ.setdefault(name.strip(), value.strip().strip("'\""))


def envstr(name: str, default: str = "") -> str:
    """The variable, or `default` where it is unset or empty."""
    return os.environ.get(name) or default


def envbool(name: str, default: bool) -> bool:
    """A switch. Raises ImproperlyConfigured for anything but 1/0, true/false, yes/no, on/off."""
    word = os.environ.get(name, "true" if default else "false").lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {word!r}")


def envint(name: str, default: int) -> int:
    """A whole number. Raises ImproperlyConfigured for anything else."""
    return _number(name, default, int)


def envfloat(name: str, default: float) -> float:
    """A number. Raises ImproperlyConfigured for anything else."""
    return _number(name, default, float)


def _number(name: str, default: Number, kind: type[Number]) -> Number:
    value = envstr(name, str(default))
    try:
        return kind(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {value!r}") from None


def envsecret(name: str, data_dir: Path) -> str:
    """A secret from the variable, or one that is made on first use and kept in the data directory (mode 0600)."""
    if value := os.environ.get(name):
        return value
    path = data_dir / name.lower()
    if not path.exists():
        _write_new_secret(path)
    return path.read_text(encoding="utf-8")


def _write_new_secret(path: Path) -> None:
    """Linking a finished file into place lets several processes start at once: all read the first one's secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()
