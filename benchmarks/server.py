"""Benchmark: the web server beside gunicorn's own threads, in one run on one machine.

CPU per request of both, and the cost of the rate limits. Run with `python benchmarks/server.py`; about 2 minutes. How
each serves slow clients is in docs/architecture.md, and tests/security/test_web_server.py.
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

REQUESTS, ROUNDS = 200, 8
INSIDE = "inside"
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"]


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
    """Measure the limits in an installation's environment."""
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
    print(f"rate limits (three at once, one Redis command): {min(costs):.2f} ms of CPU per request")


def best(measure: Callable[[], float]) -> float:
    """The least disturbed of a few rounds."""
    return min(measure() for _ in range(ROUNDS))


def compare(place: Installation, ours: Server, theirs: Server) -> None:
    """Print a line per comparison."""
    print(f"{os.cpu_count()} cores; waitress in gunicorn's arbiter / gunicorn's threads")
    for path in ("/healthz", "/api/ai/queue?action=stats"):
        new, old = best(lambda path=path: ours.cost_ms(path)), best(lambda path=path: theirs.cost_ms(path))
        print(f"CPU per GET {path}: {new:.2f} / {old:.2f} ms, difference {new - old:+.2f} ms, ratio {new / old:.2f}")
    subprocess.run([sys.executable, __file__, INSIDE], env={**os.environ, **place.env}, cwd=ROOT, check=True)


def main() -> None:
    """Start both servers on the same database and Redis."""
    with ExitStack() as running:
        place = running.enter_context(installation("sqlite", web=False))
        servers = []
        for options in ([], ["--worker-class", "gthread"]):
            port = free_port()
            env = {**place.env, "DJANGO_SETTINGS_MODULE": "aiinfra.settings", "PORT": str(port)}
            url = f"http://127.0.0.1:{port}/readyz"
            process = running.enter_context(start([*GUNICORN, *options], env, url))
            servers.append(Server(port, process.pid, place.api_key))
        compare(place, *servers)


if __name__ == "__main__":
    if sys.argv[1:] == [INSIDE]:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
        inside()
    else:
        main()
