"""The addresses that the product was started with: another terminal may have other settings, such as BIND."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from aiinfra.configuration.running import ADDRESSES
from aiinfra.providers.registry import sandbox_url
from aiinfra.stack.address import web_url


@dataclass(frozen=True)
class Addresses:
    """`redis` may contain a password; `database` is the kind of database."""

    web: str
    sandbox: str | None
    redis: str
    database: str


def save() -> None:
    """Write the addresses of this process's settings to the data directory. Raises OSError."""
    _path().write_text(json.dumps(asdict(_of_settings())), encoding="utf-8")


def of_running() -> Addresses:
    """The saved addresses, or those of this process's settings if an earlier release started the product."""
    try:
        return Addresses(**json.loads(_path().read_text(encoding="utf-8")))
    except FileNotFoundError:
        return _of_settings()


def _of_settings() -> Addresses:
    return Addresses(web_url(), sandbox_url(), settings.REDIS_URL, connection.vendor)


def _path() -> Path:
    return Path(settings.DATA_DIR) / ADDRESSES
