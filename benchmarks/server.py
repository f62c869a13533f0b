"""Benchmark of the web server, compared with gunicorn's own threads, in one run on one machine.

CPU per request of both, with an application that does nothing and with the product, and the cost of the rate limits.
Server and limits together must cost at most 0.3 ms more than gunicorn's threads without limits. Run with `python
benchmarks/server.py`; about 2 minutes. How each serves slow clients is in docs/architecture.md, and
tests/security/test_web_server.py.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection

import psutil

from benchmarks._installation import Installation, installation, start
from tests.support.processes import ROOT, free_port

REQUESTS, ROUNDS = 1000, 4
INSIDE = "inside"
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:aiinfra.stack.gunicorn"]
THREADS = ["--worker-class", "gthread"]
PRODUCT, NO_OP = "aiinfra.wsgi", "benchmarks._no_op"
MOST_MS = 0.3


class Server:
    """One running web server."""

    def __init__(self, port: int, pid: int, key: str) -> None:
        self.port, self._headers = port, {"Authorization": f"Bearer {key}"}
        self._family = psutil.Process(pid).children()

    def cpu_s(self) -> float:
        """CPU seconds of its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._family)

    def cost_ms(self, path: str) -> float:
        """CPU milliseconds per request on one connection."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        before = self.cpu_s()
        for _ in range(REQUESTS):
            connection.request("GET", path, headers=self._headers)
            assert connection.getresponse().read() is not None
        connection.close()
        return (self.cpu_s() - before) * 1000 / REQUESTS


def inside() -> None:
    """Measure the rate limits in an installation's environment and print the milliseconds."""
    import django

    django.setup()
    from aiinfra.rate_limits import Rate, take

    rates = [Rate(name, 10**8) for name in ("key:1", "organization:1", "address:127.0.0.1")]
    take(rates)
    costs = []
    for _ in range(ROUNDS):
        before = time.thread_time()
        for _ in range(REQUESTS):
            take(rates)
        costs.append((time.thread_time() - before) * 1000 / REQUESTS)
    print(min(costs))


def best(measure: Callable[[], float]) -> float:
    """The fastest of a few rounds."""
    return min(measure() for _ in range(ROUNDS))


def compare(name: str, path: str, ours: Server, theirs: Server) -> float:
    """Print how much more a request costs than with gunicorn's threads, in milliseconds; returns it."""
    new, old = best(lambda: ours.cost_ms(path)), best(lambda: theirs.cost_ms(path))
    print(f"{name}: {new:.2f} / {old:.2f} ms, difference {new - old:+.2f} ms, ratio {new / old:.2f}")
    return new - old


def limits_ms(place: Installation) -> float:
    """The cost of a request's three rate limits, which are checked in one Redis command."""
    command = [sys.executable, __file__, INSIDE]
    found = subprocess.run(command, env={**os.environ, **place.env}, cwd=ROOT, check=True, capture_output=True)
    return float(found.stdout)


def main() -> None:
    """Start both servers with both applications, on the same database and Redis."""
    with ExitStack() as running:
        place = running.enter_context(installation("sqlite", web=False))

        def server(application: str, options: list[str]) -> Server:
            port = free_port()
            env = {**place.env, "DJANGO_SETTINGS_MODULE": "aiinfra.settings", "PORT": str(port)}
            url = f"http://127.0.0.1:{port}/readyz"
            process = running.enter_context(start([*GUNICORN, *options, application], env, url))
            return Server(port, process.pid, place.api_key)

        print(f"{os.cpu_count()} cores; CPU per GET: waitress in gunicorn's arbiter / gunicorn's threads")
        alone = compare("an application that does nothing", "/", server(NO_OP, []), server(NO_OP, THREADS))
        ours, theirs = server(PRODUCT, []), server(PRODUCT, THREADS)
        probe = compare("/healthz", "/healthz", ours, theirs)
        compare("an API read, with its limits in both", "/api/ai/queue?action=stats", ours, theirs)
        limits = limits_ms(place)
        total = max(alone, probe, 0.0) + limits
        print(f"rate limits: {limits:.2f} ms; server and limits: {total:.2f} ms, must be at most {MOST_MS} ms")
        sys.exit(total > MOST_MS)


if __name__ == "__main__":
    if sys.argv[1:] == [INSIDE]:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
        inside()
    else:
        main()
