"""The cache's Redis keys and the scripts that change them atomically.

docs/cache-store.md lists the keys. All keys of one organization share a hash tag, so a cluster keeps them on one node.
"""

from functools import cache
from pathlib import Path
from typing import Any

from redis.commands.core import Script

from aiinfra.redis import ScriptCall, bytes_client

LUA = Path(__file__).parent / "lua"
ORGANIZATIONS = "sc:organizations"
"""A set of the IDs of all organizations that have anything."""
EVERYTHING = "*"
"""The tag of every entry."""

Argument = str | bytes | int | float


def client() -> Any:
    """A Redis client that returns bytes; redis-py's own types leave that open."""
    return bytes_client()


def prefix(organization_id: int) -> str:
    """The common prefix of an organization's keys."""
    return f"sc:{{{organization_id}}}:"


def user_tag(tag: str) -> str:
    """A tag that a user gave; the prefix separates it from internal ones."""
    return f"u:{tag}"


def model_tag(provider: str, model: str) -> str:
    """The tag of all answers of a model."""
    return f"m:{provider}/{model}"


def run(name: str, organization_id: int, *arguments: Argument) -> Any:
    """A script's result, as bytes. Raises RedisError."""
    return _script(name)(keys=[prefix(organization_id)], args=arguments, client=client())


def call(name: str, organization_id: int, *arguments: str | float) -> ScriptCall:
    """A call of a script that takes and returns no bytes, for a round trip with others."""
    return ScriptCall(_script(name), [prefix(organization_id)], arguments)


@cache
def _script(name: str) -> Script:
    source = (LUA / "_common.lua").read_text() + (LUA / f"{name}.lua").read_text()
    return bytes_client().register_script(source)
