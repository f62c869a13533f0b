"""Racers that never end by themselves."""

import os
import time
from collections.abc import Iterator

from tests.support.race import run_racer, tell


def sleep(_argument: str) -> Iterator[object]:
    """Say which process this is, and stay."""
    tell(f"asleep-{os.getpid()}")
    while True:
        time.sleep(60)
        yield


if __name__ == "__main__":
    run_racer({"sleep": sleep})
