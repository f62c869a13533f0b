"""Rate limits whose clock stands still."""

import pytest

from aiinfra import rate_limits
from aiinfra.redis import redis_client


@pytest.fixture
def no_refill(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test takes of a minute's requests or tokens stays spent, however long the test takes."""
    source = rate_limits._SOURCE.read_text(encoding="utf-8")
    frozen = source.replace("redis.call('TIME')", "{1800000000, 0}")
    assert frozen != source
    script = redis_client().register_script(frozen)
    monkeypatch.setattr(rate_limits, "_script", lambda: script)
