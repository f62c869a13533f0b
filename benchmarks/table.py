"""The table of target figures, each with a baseline measured in the same run.

Run with `make bench` or `python benchmarks/table.py`; `ONLY=accept,hits` selects parts, `REQUESTS` (1,000) how many
each row sends. Nothing is simulated: gunicorn, an API key, Redis with AOF, SQLite and PostgreSQL, RQ workers, and the
sandbox provider. benchmarks/README.md says how to read the table.
"""

import sys
from pathlib import Path

# Python puts the folder of a script first in its path, where `queue.py` would hide the standard library's `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import psutil
import psycopg

from benchmarks._installation import Installation, databases, installation, start
from benchmarks._load import QUESTION, asking, enqueuer, getter, measure, poster, rq_enqueuer
from benchmarks.cost import booking, hot_window
from benchmarks.queue import IDEAL_S, drain, run_script

REQUESTS = int(os.environ.get("REQUESTS", "1000"))
ONLY = os.environ.get("ONLY", "")
COMMITS = 200
QUIET_CPU_S = 0.2
"""In two seconds: an installation that is embedding uses more."""
ROW = "INSERT INTO baseline VALUES ('" + "x" * 1000 + "')"
SENTENCE = "How many tonnes of carbon did the plant in Ghent emit between April and June of this year?"
COMPLETED = """
from queue_app import create_ai_request_queue
stats = create_ai_request_queue().get_queue_stats()
print(stats.total_processed + stats.total_failed)
"""


@dataclass(frozen=True)
class Baselines:
    """Baselines of the machine in ms: a plain RQ enqueue, a commit of one row, and a page that does nothing.

    They are measured in each installation, next to the figures that they explain.
    """

    rq_ms: float
    commit_ms: float
    noop_ms: float


def commit_ms(at: Installation) -> float:
    """Mean time to insert and commit one row of 1 kB, with the database's driver alone."""
    url = at.env["DATABASE_URL"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            return _commit_ms(lambda sql: connection.execute(sql))
    with psycopg.connect(url, autocommit=True) as connection:
        return _commit_ms(lambda sql: connection.execute(sql))


def _commit_ms(execute: Callable[[str], object]) -> float:
    execute("CREATE TABLE baseline (text TEXT)")
    began = time.perf_counter()
    for _ in range(COMMITS):
        execute(ROW)
    seconds = time.perf_counter() - began
    execute("DROP TABLE baseline")
    return seconds / COMMITS * 1000


def baselines(at: Installation) -> Baselines:
    """Measure and print them."""
    found = Baselines(
        measure(rq_enqueuer(at.env["REDIS_URL"]), 1, REQUESTS).mean_ms,
        commit_ms(at),
        measure(getter(at, "/healthz"), 1, REQUESTS).mean_ms,
    )
    print(f"  baselines: RQ enqueue {found.rq_ms:.2f} ms, bare commit {found.commit_ms:.2f} ms, ", end="")
    print(f"no-op over HTTP {found.noop_ms:.2f} ms")
    return found


def row(name: str, value: float, unit: str, must: str, ratio: float, baseline: str) -> None:
    """One line: figure, target, and ratio to the baseline."""
    print(f"  {name:46}{value:10.2f} {unit:5}must {must:>7}   {ratio:7.2f} x {baseline}", flush=True)


def bench_accepting(database: str) -> None:
    """POST /api/ai/queue with 1, 4, and 16 clients."""
    with installation(database) as at:
        found = baselines(at)
        alone = measure(enqueuer(at), 1, REQUESTS)
        must = "4" if database == "sqlite" else "6"
        row("accept, 1 client, mean", alone.mean_ms, "ms", must, alone.mean_ms / found.rq_ms, "RQ enqueue")
        for clients, musts in ((4, ("400" if database == "sqlite" else "300", "")), (16, ("", "200"))):
            rate = measure(enqueuer(at), clients, REQUESTS)
            per_commit = rate.per_second * found.commit_ms / 1000
            row(f"accept, {clients} clients", rate.per_second, "/s", musts[0], per_commit, "commits one by one")
            row(f"accept, {clients} clients, p99", rate.p99_ms, "ms", musts[1], rate.p99_ms / found.commit_ms, "commit")


@contextmanager
def working(database: str, latency_ms: int) -> Iterator[Installation]:
    """The whole product with 50 slots."""
    with installation(database, latency_ms=latency_ms) as at:
        worker = [sys.executable, "manage.py", "worker"]
        scheduler = [sys.executable, "manage.py", "scheduler"]
        with start(worker, at.env), start(scheduler, at.env):
            time.sleep(5)
            yield at


def our_processes() -> list[psutil.Process]:
    """The product's processes without the provider. Call after requests have ended, when all workers have forked."""
    return [each for each in psutil.Process().children(recursive=True) if not _is_provider(each)]


def _is_provider(process: psutil.Process) -> bool:
    return any("sandbox" in word for word in process.cmdline())


def bench_draining(database: str) -> None:
    """Accepting while the workers drain what is accepted; 500 calls on 50 slots."""
    with working(database, latency_ms=500) as at:
        commit = commit_ms(at)
        rate = measure(enqueuer(at), 4, REQUESTS)
        row(
            "accept while draining, 4 clients", rate.per_second, "/s", "150", rate.per_second * commit / 1000, "commits"
        )
        row("accept while draining, p99", rate.p99_ms, "ms", "100", rate.p99_ms / commit, "commit")
    drained = drain(database)
    must = "5.75" if database == "sqlite" else "6.3"
    row("500 calls of 0.5 s on 50 slots", drained.seconds, "s", must, drained.seconds / IDEAL_S, "ideal")


def bench_cpu(database: str) -> None:
    """CPU of all processes but the provider, from HTTP to the completed row, of questions that are not cached.

    The second row includes the embedder, which reads each question once for the semantic cache.
    """
    numbers = count()
    with working(database, latency_ms=100) as at:
        noop = measure(getter(at, "/healthz"), 1, REQUESTS).mean_ms
        for mode, must, name in (("bypass", "9", "without the cache"), ("use", "", "and embedded for the cache")):
            body = partial(_question, numbers, mode)
            client = poster(at, "/api/ai/queue", body, 202)()
            _ended(at, _completed(at) + _sent(client, 50))
            ours, completed = our_processes(), _completed(at)
            before = _cpu_s(ours)
            _ended(at, completed + _sent(client, REQUESTS))
            ms = (_cpu_s(ours) - before) * 1000 / REQUESTS
            row(f"CPU per request, {name}", ms, "ms", must, ms / noop, "no-op over HTTP")


def _question(numbers: Iterator[int], mode: str) -> dict[str, Any]:
    return {**asking(f"{next(numbers)} {QUESTION}"), "cache": mode}


def _sent(client: Callable[[], float], requests: int) -> int:
    for _ in range(requests):
        client()
    return requests


def _completed(at: Installation) -> int:
    return int(run_script(at.env, COMPLETED))


def _ended(at: Installation, completed: int) -> None:
    """Wait until the requests have ended and the embedder has processed their questions."""
    while _completed(at) < completed:
        time.sleep(1)
    ours, used = our_processes(), QUIET_CPU_S
    while used >= QUIET_CPU_S:
        before = _cpu_s(ours)
        time.sleep(2)
        used = _cpu_s(ours) - before


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def bench_hits(database: str) -> None:
    """POST /api/ai/chat answered from the cache. Added spaces make a text new for the embedder, but still a hit."""
    blanks = count(1)
    with working(database, latency_ms=0) as at:
        noop = measure(getter(at, "/healthz"), 1, REQUESTS).mean_ms
        exact = poster(at, "/api/ai/chat", lambda: asking(SENTENCE), 200, 202)
        semantic = poster(at, "/api/ai/chat", lambda: asking(SENTENCE + " " * next(blanks)), 200, 202)
        for make in (exact, semantic):
            measure(make, 2, 40)  # stores the answer, and loads the model in each web process
        for name, make, must in (("exact hit", exact, "6"), ("semantic hit, new text", semantic, "16")):
            ms = measure(make, 1, REQUESTS // 4).p50_ms
            row(f"{name}, over HTTP, p50", ms, "ms", must, ms / noop, "no-op over HTTP")


def bench_windows(database: str) -> None:
    """The overhead of three budget windows and rollups per call, and of one window that 8 processes use at once."""
    with installation(database, web=False) as at:
        commit, found = commit_ms(at), booking(at)
        added = found.full - found.plain
        row("three budget windows and sums, added per call", added, "ms", "3", added / commit, "commit")
    with installation(database, web=False) as at:
        hot = hot_window(at)
        must = "800" if database == "sqlite" else "400"
        row("one hot window, 8 processes", hot.cycles, "/s", must, hot.cycles / hot.bare, "bare UPDATEs")
        row("one hot window, whole calls", hot.calls, "/s", "", hot.calls / hot.bare, "bare UPDATEs")


PARTS = {
    "accept": bench_accepting,
    "drain": bench_draining,
    "cpu": bench_cpu,
    "hits": bench_hits,
    "windows": bench_windows,
}


def main() -> None:
    """Print the whole table, or the parts in `ONLY`."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, load before {load}")
    chosen = ONLY.split(",") if ONLY else list(PARTS)
    for database in databases():
        print(f"\n{database}")
        for name in chosen:
            PARTS[name](database)
    print("\nhits beside GPTCache: benchmarks/cache.py; finance pages over a long ledger: benchmarks/cost.py")


if __name__ == "__main__":
    main()
