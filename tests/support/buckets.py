"""Rate limits with a stopped clock."""

import pytest

from aiinfra import rate_limits
from aiinfra.redis import redis_client


@pytest.fixture
def no_refill(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop token buckets from refilling, so that results don't depend on how long a test takes."""
    source = rate_limits._SOURCE.read_text(encoding="utf-8")
    frozen = source.replace("redis.call('TIME')", "{1800000000, 0}")
    assert frozen != source
    script = redis_client().register_script(frozen)
    monkeypatch.setattr(rate_limits, "_script", lambda: script)
