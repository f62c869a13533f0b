"""The way to the cache's keys in Redis: their names, and the scripts that change them as one.

docs/cache-store.md lists the keys. All of one organization have one hash tag, so a cluster keeps them together.
"""

from functools import cache
from pathlib import Path
from typing import Any

from redis.commands.core import Script

from aiinfra.redis import bytes_client

LUA = Path(__file__).parent / "lua"
ORGANIZATIONS = "sc:organizations"
"""A set of the ids of all organizations that have anything."""
EVERYTHING = "*"
"""The tag of every entry."""

Argument = str | bytes | int | float


def client() -> Any:
    """Redis, answering in bytes; redis-py's own types leave that open."""
    return bytes_client()


def prefix(organization_id: int) -> str:
    """What all keys of an organization begin with."""
    return f"sc:{{{organization_id}}}:"


def user_tag(tag: str) -> str:
    """A tag that somebody gave; the prefix keeps it apart from our own."""
    return f"u:{tag}"


def model_tag(provider: str, model: str) -> str:
    """The tag of everything that a model has answered."""
    return f"m:{provider}/{model}"


def run(name: str, organization_id: int, *arguments: Argument) -> Any:
    """What a script returns, as bytes. Raises RedisError."""
    return _script(name)(keys=[prefix(organization_id)], args=arguments, client=client())


@cache
def _script(name: str) -> Script:
    source = (LUA / "_common.lua").read_text() + (LUA / f"{name}.lua").read_text()
    return bytes_client().register_script(source)
