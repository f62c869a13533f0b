"""Benchmark of the queue: draining with 50 slots, and claiming from a long queue. `table.py` measures accepting.

Run with `make bench` or `python benchmarks/queue.py`. Nothing is simulated: Redis with AOF, SQLite and PostgreSQL, RQ
workers and the sandbox provider.
"""

import sys
from pathlib import Path

# Python puts the folder of a script first in its path, where this file would hide the standard library's `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import os
from dataclasses import dataclass

import psutil

from benchmarks._installation import databases, installation, manage, start
from benchmarks._load import QUESTION

DRAINED = 500
CALL_S = 0.5
SLOTS = 50
IDEAL_S = DRAINED * CALL_S / SLOTS
PENDING = 100_000
CLAIMS = 2_000


@dataclass(frozen=True)
class Drained:
    """How long the calls took, and the workers' memory."""

    seconds: float
    memory_mb: float


def drain(database: str) -> Drained:
    """500 calls of 0.5 s on 50 slots with open connections."""
    with installation(database, web=False, latency_ms=int(CALL_S * 1000)) as at:
        env = {**at.env, "DRAINED": str(DRAINED), "QUESTION": QUESTION, "SLOTS": str(SLOTS)}
        with start([sys.executable, "manage.py", "worker"], env) as workers:
            output = run_script(env, FILL_AND_WAIT)
            family = [psutil.Process(workers.pid), *psutil.Process(workers.pid).children(recursive=True)]
            memory = sum(process.memory_full_info().pss for process in family) / 1e6
    return Drained(float(output.split()[-1]), memory)


def bench_draining() -> None:
    """Print the time beside the ideal one."""
    print(f"\n{DRAINED} calls of {CALL_S} s on {SLOTS} slots: ideal {IDEAL_S:.1f} s")
    for database in databases():
        found = drain(database)
        ratio = found.seconds / IDEAL_S
        print(
            f"  {database:11} {found.seconds:5.2f} s = {ratio:4.2f} x ideal; workers' memory {found.memory_mb:4.0f} MB"
        )


FILL_AND_WAIT = """
import os, time
from queue_app import create_ai_request_queue
queue = create_ai_request_queue()
while sum(worker.slots for worker in queue.get_queue_stats().workers) < int(os.environ["SLOTS"]):
    time.sleep(0.1)
messages = [{"role": "user", "content": os.environ["QUESTION"]}]
count = int(os.environ["DRAINED"])
from aiinfra.tenants.models import Organization
from queue_app import control
from aiinfra.tenants.scope import organization_scope
organization = Organization.objects.get()

def drain(count):
    expected = queue.get_queue_stats().total_processed + count
    with organization_scope(organization.id):
        control.pause(organization.id, None, actor="command:benchmark")
    for _ in range(count):
        queue.enqueue("deepseek", "deepseek-chat", messages, organization_id=organization.slug)
    with organization_scope(organization.id):
        began = time.perf_counter()
        control.resume(organization.id, None, actor="command:benchmark")
    while queue.get_queue_stats().total_processed < expected:
        time.sleep(0.05)
    return time.perf_counter() - began

drain(int(os.environ["SLOTS"]))  # opens the connections of every slot
print(drain(count))
"""


def run_script(env: dict[str, str], script: str) -> str:
    """Run a script in an installation and return its output."""
    return manage(env, "shell", "--no-imports", "-c", script)


CLAIM_FROM_MANY = """
import os, statistics, time, uuid
from django.utils import timezone
from queue_app.ordering import index
from queue_app.models import AIRequest, Priority
pending, claims = int(os.environ["PENDING"]), int(os.environ["CLAIMS"])
now = timezone.now()
weights = Priority.values
index.admit(
    AIRequest(organization_id=n % 1000 + 1, priority=weights[n % 4], created_at=now, not_before=now)
    for n in range(pending)
)
times = []
for _ in range(claims):
    began = time.perf_counter()
    entry = index.claim()
    times.append(time.perf_counter() - began)
    index.release([entry])
cuts = statistics.quantiles(times, n=100)
print(f"p50 {cuts[49] * 1000:.2f} ms, p99 {cuts[98] * 1000:.2f} ms")
"""


def bench_claiming() -> None:
    """A claim from Redis with 100,000 requests of 1,000 organizations pending."""
    with installation("sqlite", web=False) as at:
        result = run_script({**at.env, "PENDING": str(PENDING), "CLAIMS": str(CLAIMS)}, CLAIM_FROM_MANY)
    print(f"\nclaim with {PENDING} pending of 1000 organizations: {result.strip()}")


def main() -> None:
    """Run both in turn."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, load before {load}")
    bench_draining()
    bench_claiming()


if __name__ == "__main__":
    main()
