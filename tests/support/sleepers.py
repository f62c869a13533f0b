"""Racers that never end on their own."""

import os
import time
from collections.abc import Iterator

from tests.support.race import run_racer, signal_event


def sleep(_argument: str) -> Iterator[object]:
    """Signal the process ID and sleep forever."""
    signal_event(f"asleep-{os.getpid()}")
    while True:
        time.sleep(60)
        yield


if __name__ == "__main__":
    run_racer({"sleep": sleep})
