"""Concurrent processes that use an API key; see `tests.support.race`. Their argument is the key."""

import time
from collections.abc import Iterator

from tests.support.race import Racer, run_racer, signal_event, wait_for


def watch(key: str) -> Iterator[object]:
    """Authenticate until the key is refused; yield the start time of the last successful call."""
    from aiinfra.tenants import key_authentication

    passed_at = time.monotonic()
    assert key_authentication.authenticate(f"Bearer {key}")
    signal_event("valid")
    while True:
        began_at = time.monotonic()
        if not key_authentication.authenticate(f"Bearer {key}"):
            break
        passed_at = began_at
        time.sleep(0.01)
    yield passed_at


def revoke(key: str) -> Iterator[object]:
    """Revoke the key that `watch` uses; yield the time of the commit."""
    from aiinfra.tenants import keys
    from aiinfra.tenants.models import ApiKey
    from aiinfra.tenants.scope import system_scope

    wait_for("valid")
    with system_scope():
        keys.revoke_key(key=ApiKey.objects.get(key_id=key[4:12]), actor="command:x")
    yield time.monotonic()


RACES: dict[str, Racer] = {race.__name__: race for race in (watch, revoke)}


if __name__ == "__main__":
    run_racer(RACES)
