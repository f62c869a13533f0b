"""CPU profile of requests: writes flame graphs of direct calls, accepting, the worker, and cache hits to docs/img.

Run with `make flames` or `python benchmarks/flames.py`; about a minute. SQLite, Redis, and the sandbox provider are
real. Each path runs in one thread. Only CPU time is measured, not waiting for the disk or the network.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import os
import subprocess
import time
from collections.abc import Callable

from benchmarks._installation import installation
from benchmarks._sampling import flame_graph, sampled, shares
from tests.support.processes import ROOT

REQUESTS = int(os.environ.get("REQUESTS", "400"))
ROUNDS = 5
"""The fastest round counts, because other programs on the machine increase even CPU time."""
WARM_UP = 20
IMAGES = ROOT / "docs/img"
INSIDE = "inside"
QUESTION = "Summarize our scope 2 emissions of last quarter by site and name the three largest changes. "
TITLES = {
    "accept": "POST /api/ai/queue, accepted",
    "worker": "a worker: claim, call, book, complete",
    "direct": "POST /v1/chat/completions, answered by the provider",
    "hit": "POST /api/ai/chat, answered from the cache (exact)",
}


class Program:
    """Sends API calls with a key in this process, through the same middleware and endpoints as the web server."""

    def __init__(self, key: str) -> None:
        from django.test import Client

        self._client = Client(headers={"Authorization": f"Bearer {key}"}, SERVER_NAME="127.0.0.1")
        self._asked = 0

    def post(self, path: str, text: str, *statuses: int) -> None:
        """Send a call and check its status."""
        body = {"provider": "deepseek", "model": "deepseek-chat", "messages": [{"role": "user", "content": text}]}
        answer = self._client.post(path, json.dumps(body), content_type="application/json")
        assert answer.status_code in statuses, (answer.status_code, answer.content)

    def enqueue(self) -> None:
        """Enqueue a new question."""
        self._asked += 1
        self.post("/api/ai/queue", f"{QUESTION * 8}{self._asked}", 202)

    def ask(self) -> None:
        """Ask a new question and wait for the provider's answer."""
        self._asked += 1
        self.post("/v1/chat/completions", f"{QUESTION * 8}{self._asked}", 200)

    def ask_again(self) -> None:
        """Ask a question that the cache can answer."""
        self.post("/api/ai/chat", QUESTION, 200)


def work() -> None:
    """Process one request like a worker, with the sandbox as its provider."""
    from queue_app.processing.dispatching import next_entry, start
    from queue_app.processing.provider_call import run

    entry, all_closed = next_entry()
    assert entry is not None
    started = start(entry, "benchmark", all_closed=all_closed)
    assert started is not None
    run(*started)


def paths(program: Program) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Name -> (measured function, unmeasured function that prepares its work)."""
    from queue_app.ordering import index

    program.post("/api/ai/queue", QUESTION, 202)
    work()
    index.mark_complete()  # as the scheduler does; before, starting requests needs database queries
    return {
        # First, because a direct call would wait behind accepted requests that no worker takes.
        "direct": (program.ask, lambda: None),
        "accept": (program.enqueue, lambda: None),
        "worker": (work, program.enqueue),
        "hit": (program.ask_again, lambda: None),
    }


def mean_ms(run: Callable[[], object], times: int) -> float:
    """CPU time of one run."""
    began = time.thread_time()
    for _ in range(times):
        run()
    return (time.thread_time() - began) * 1000 / times


def inside(key: str) -> None:
    """Measure all paths in an installation's environment."""
    import django

    django.setup()
    for name, (measured, prepare) in paths(Program(key)).items():
        for _ in range(WARM_UP):
            prepare()
            measured()
        for _ in range(REQUESTS * 2):
            prepare()
        ms = min(mean_ms(measured, REQUESTS // ROUNDS) for _ in range(ROUNDS))
        stacks = sampled(lambda run=measured: [run() for _ in range(REQUESTS)])
        (IMAGES / f"flame-{name}.svg").write_text(flame_graph(f"{TITLES[name]}: {ms:.2f} ms of CPU", stacks))
        parts = ", ".join(f"{kind} {share:.0%}" for kind, share in shares(stacks).items())
        print(f"{name:8}{ms:6.2f} ms of CPU a request: {parts}", flush=True)


def main() -> None:
    """Start an installation and measure in its environment."""
    with installation("sqlite", web=False, latency_ms=0) as at:
        subprocess.run([sys.executable, __file__, INSIDE, at.api_key], env={**os.environ, **at.env}, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == [INSIDE]:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
        inside(sys.argv[2])
    else:
        main()
