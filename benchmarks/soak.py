"""Memory over time: the whole product under `demo_traffic`, PSS per process, once a minute.

Run with `python benchmarks/soak.py`; `MINUTES` (60), `RATE` (8 requests per second). PSS divides shared memory among
the processes that share it, so the sum is the product's memory. The last line compares the end with the tenth minute.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import os
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack

import psutil

from benchmarks._installation import start
from tests.support.product import running

MINUTES = int(os.environ.get("MINUTES", "60"))
RATE = os.environ.get("RATE", "8")
LIMIT_MB = 600
SETTLED_MINUTE = 10
KINDS = ("supervisord", "redis", "sandbox", "scheduler", "worker", "gunicorn")


def kind_of(process: psutil.Process) -> str:
    """The kind of a process of the product."""
    command = " ".join(process.cmdline())
    return next((kind for kind in KINDS if kind in command), "other")


def memory(root: psutil.Process) -> dict[str, float]:
    """PSS in MB by kind of process."""
    found: dict[str, float] = defaultdict(float)
    for process in [root, *root.children(recursive=True)]:
        try:
            found[kind_of(process)] += process.memory_full_info().pss / 1e6
        except psutil.NoSuchProcess:
            continue
    return dict(found)


def cpu_s(root: psutil.Process) -> float:
    """CPU seconds of all processes so far."""
    return sum(sum(process.cpu_times()[:2]) for process in [root, *root.children(recursive=True)])


def idle_percent(root: psutil.Process, seconds: float = 30) -> float:
    """Percent of a core that the idle product uses."""
    time.sleep(20)
    before = cpu_s(root)
    time.sleep(seconds)
    return (cpu_s(root) - before) / seconds * 100


def line(minute: int, found: dict[str, float]) -> float:
    """Print one row; returns the sum."""
    total = sum(found.values())
    print(f"{minute:7}" + "".join(f"{found.get(kind, 0):13.0f}" for kind in KINDS) + f"{total:9.0f}", flush=True)
    return total


def main() -> None:
    """Measure the idle product first, then under load."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run = stack.enter_context(running(folder))
        root = psutil.Process(run.process.pid)
        print(f"{os.cpu_count()} cores; idle: {idle_percent(root):.1f}% of a core (target < 1)")
        print(f"{'minute':>7}" + "".join(f"{kind:>13}" for kind in KINDS) + f"{'MB PSS':>9}")
        totals = [line(0, memory(root))]
        traffic = [sys.executable, "manage.py", "demo_traffic", "--rate", RATE, "--seconds", str(60 * MINUTES)]
        stack.enter_context(start(traffic, run.env))
        for minute in range(1, MINUTES + 1):
            time.sleep(60)
            totals.append(line(minute, memory(root)))
    settled = totals[min(SETTLED_MINUTE, MINUTES)]
    print(f"at the end {totals[-1]:.0f} MB (target < {LIMIT_MB}), {totals[-1] / settled:.2f} x minute {SETTLED_MINUTE}")


if __name__ == "__main__":
    main()
