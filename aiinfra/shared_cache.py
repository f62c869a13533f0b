"""Django's cache backend in Redis, shared by all processes. While Redis is down, each process has its own.

Values are JSON, never pickles: access to Redis must not allow code execution here.
"""

import json
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from redis.exceptions import RedisError

from aiinfra.redis import redis_client

KEY_PREFIX = "django"


class SharedCache(BaseCache):
    """For small values that may be lost at any time, such as rate limit counters and used codes."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__({"KEY_PREFIX": KEY_PREFIX, **params})
        self._local = LocMemCache(location, params)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store the value unless the key exists; returns whether it was stored."""
        try:
            return bool(self._set(key, value, timeout, version, only_new=True))
        except RedisError:
            return bool(self._local.add(key, value, timeout, version))

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """The value, or the default."""
        try:
            text = redis_client().get(self.make_key(key, version))
        except RedisError:
            return self._local.get(key, default, version)
        return default if text is None else json.loads(str(text))

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store the value."""
        try:
            self._set(key, value, timeout, version, only_new=False)
        except RedisError:
            self._local.set(key, value, timeout, version)

    def delete(self, key: str, version: int | None = None) -> bool:
        """Delete the key; returns whether it existed."""
        try:
            return bool(redis_client().delete(self.make_key(key, version)))
        except RedisError:
            return bool(self._local.delete(key, version))

    def clear(self) -> None:
        """Clear this process's values; keys in Redis expire."""
        self._local.clear()

    def _set(self, key: str, value: Any, timeout: Any, version: int | None, *, only_new: bool) -> Any:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        milliseconds = None if seconds is None else max(int(seconds * 1000), 1)
        return redis_client().set(self.make_key(key, version), json.dumps(value), px=milliseconds, nx=only_new)
