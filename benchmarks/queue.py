"""Benchmark of the queue: accepting over HTTP, draining with 50 slots, and claiming from a long queue.

Run with `make bench` or `python benchmarks/queue.py`. Nothing is simulated: gunicorn, an API key, Redis with AOF,
SQLite and PostgreSQL, RQ workers and the sandbox provider. Baselines are the specified figures and a plain RQ enqueue
of the same payload, without accounts, validation or a durable row.
"""

import sys
from pathlib import Path

# Python puts the folder of a script first in its path, where this file would hide the standard library's `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import http.client
import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
from redis import Redis
from rq import Queue

from benchmarks._installation import Installation, databases, installation, manage, start

REQUESTS = 1_000
CONCURRENT = 100
DRAINED = 500
CALL_S = 0.5
SLOTS = 50
PENDING = 100_000
CLAIMS = 2_000
QUESTION = "Summarise our scope 2 emissions of last quarter by site and name the three largest changes. " * 8
BODY = {
    "provider": "deepseek",
    "model": "deepseek-chat",
    "messages": [{"role": "user", "content": QUESTION}],
    "priority": "normal",
}


@dataclass(frozen=True)
class Line:
    """One row of the table; times in ms."""

    name: str
    mean_ms: float
    p99_ms: float | None
    per_second: float
    hundred_ms: float | None


SPECIFICATION = Line("specification's figures", 7.65, None, 98, 5_000)


def client(at: Installation) -> Callable[[], float]:
    """A keep-alive HTTP client. Each call posts one request and returns its duration in seconds."""
    connection = http.client.HTTPConnection(urlsplit(at.url).netloc)
    body = json.dumps(BODY)
    headers = {"Authorization": f"Bearer {at.api_key}", "Content-Type": "application/json"}

    def post() -> float:
        began = time.perf_counter()
        connection.request("POST", "/api/ai/queue", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202, answer.status
        return time.perf_counter() - began

    return post


def measure(make: Callable[[], Callable[[], float]], clients: int, requests: int) -> tuple[list[float], float]:
    """(seconds of each call, calls per second) of several concurrent clients."""
    times: list[float] = []

    def run() -> None:
        call = make()
        call()
        ready.wait()
        times.extend([call() for _ in range(requests // clients)])

    ready = threading.Barrier(clients + 1)
    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return times, len(times) / (time.perf_counter() - began)


def hundred_at_once(make: Callable[[], Callable[[], float]]) -> float:
    """Milliseconds until 100 concurrent clients have completed one call each."""
    _, per_second = measure(make, CONCURRENT, CONCURRENT)
    return CONCURRENT / per_second * 1000


def line(name: str, make: Callable[[], Callable[[], float]], clients: int) -> Line:
    """Measure one row of the table."""
    times, per_second = measure(make, clients, REQUESTS)
    p99 = statistics.quantiles(times, n=100)[98]
    hundred = hundred_at_once(make) if clients == 1 else None
    return Line(name, statistics.mean(times) * 1000, p99 * 1000, per_second, hundred)


def rq_client(redis_url: str) -> Callable[[], Callable[[], float]]:
    """Create clients that enqueue the same payload with plain RQ, without HTTP, account or row."""

    def make() -> Callable[[], float]:
        queue = Queue("peer", connection=Redis.from_url(redis_url))

        def enqueue() -> float:
            began = time.perf_counter()
            queue.enqueue("print", BODY)
            return time.perf_counter() - began

        return enqueue

    return make


def bench_accepting() -> None:
    """Mean, p99 and rate of POST /api/ai/queue, compared with the baselines."""
    lines = [SPECIFICATION]
    for database in databases():
        with installation(database) as at:
            if database == "sqlite":
                lines.append(line("plain rq enqueue, 1 client", rq_client(at.env["REDIS_URL"]), 1))
            lines += [line(f"POST /api/ai/queue, {database}, {n} client(s)", lambda: client(at), n) for n in (1, 4)]
    print(f"\n{'':48}{'mean ms':>9}{'p99 ms':>9}{'per s':>9}{'x spec':>8}{'100 at once, ms':>17}")
    for row in lines:
        cells = [f"{row.mean_ms:9.2f}", _cell(row.p99_ms, 9), f"{row.per_second:9.0f}"]
        ratio = f"{row.per_second / SPECIFICATION.per_second:8.1f}"
        print(f"{row.name:48}{''.join(cells)}{ratio}{_cell(row.hundred_ms, 17)}")


def _cell(value: float | None, width: int) -> str:
    return f"{value:{width}.2f}" if value is not None else " " * (width - 1) + "-"


def bench_draining() -> None:
    """500 calls of 0.5 s on 50 slots with open connections, and the workers' memory."""
    ideal = DRAINED * CALL_S / SLOTS
    print(f"\n{DRAINED} calls of {CALL_S} s on {SLOTS} slots: ideal {ideal:.1f} s")
    for database in databases():
        with installation(database, web=False, latency_ms=int(CALL_S * 1000)) as at:
            env = {**at.env, "DRAINED": str(DRAINED), "QUESTION": QUESTION, "SLOTS": str(SLOTS)}
            with start([sys.executable, "manage.py", "worker"], env) as workers:
                output = run_script(env, FILL_AND_WAIT)
                family = [psutil.Process(workers.pid), *psutil.Process(workers.pid).children(recursive=True)]
                memory = sum(process.memory_full_info().pss for process in family) / 1e6
        seconds = float(output.split()[-1])
        print(f"  {database:11} {seconds:5.2f} s = {seconds / ideal:4.2f} x ideal; workers' memory {memory:4.0f} MB")


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
    """Run all three in turn."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, load before {load}")
    bench_accepting()
    bench_draining()
    bench_claiming()


if __name__ == "__main__":
    main()
