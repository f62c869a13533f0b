"""Clients that send the same request repeatedly and measure its duration."""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from rq import Queue

from benchmarks._installation import Installation

QUESTION = "Summarise our scope 2 emissions of last quarter by site and name the three largest changes. " * 8
BODY = {
    "provider": "deepseek",
    "model": "deepseek-chat",
    "messages": [{"role": "user", "content": QUESTION}],
    "priority": "normal",
}
Call = Callable[[], float]
"""One call of a client; returns its duration in seconds."""


@dataclass(frozen=True)
class Rate:
    """What several concurrent clients measured; times in ms."""

    mean_ms: float
    p50_ms: float
    p99_ms: float
    per_second: float


def poster(at: Installation, path: str, body: Callable[[], dict[str, Any]], *statuses: int) -> Callable[[], Call]:
    """Makes keep-alive HTTP clients that post with the installation's key; `body` makes the body of each call."""

    def make() -> Call:
        connection = http.client.HTTPConnection(urlsplit(at.url).netloc)
        headers = {"Authorization": f"Bearer {at.api_key}", "Content-Type": "application/json"}

        def post() -> float:
            text = json.dumps(body())
            began = time.perf_counter()
            connection.request("POST", path, text, headers)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status in statuses, (answer.status, content)
            return time.perf_counter() - began

        return post

    return make


def enqueuer(at: Installation) -> Callable[[], Call]:
    """Makes clients that enqueue the same question."""
    return poster(at, "/api/ai/queue", lambda: BODY, 202)


def asking(text: str) -> dict[str, Any]:
    """The body of a call with this question."""
    return {**BODY, "messages": [{"role": "user", "content": text}]}


def getter(at: Installation, path: str) -> Callable[[], Call]:
    """Makes keep-alive HTTP clients that get a page which does nothing."""

    def make() -> Call:
        connection = http.client.HTTPConnection(urlsplit(at.url).netloc)

        def get() -> float:
            began = time.perf_counter()
            connection.request("GET", path)
            connection.getresponse().read()
            return time.perf_counter() - began

        return get

    return make


def rq_enqueuer(redis_url: str) -> Callable[[], Call]:
    """Makes clients that enqueue the same payload with plain RQ: no HTTP, account, validation, or durable row."""

    def make() -> Call:
        queue = Queue("peer", connection=Redis.from_url(redis_url))

        def enqueue() -> float:
            began = time.perf_counter()
            queue.enqueue("print", BODY)
            return time.perf_counter() - began

        return enqueue

    return make


def measure(make: Callable[[], Call], clients: int, requests: int) -> Rate:
    """Run this many calls, divided among concurrent clients. Each client's first call is not counted."""
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
    seconds = time.perf_counter() - began
    cuts = statistics.quantiles(times, n=100)
    return Rate(statistics.mean(times) * 1000, cuts[49] * 1000, cuts[98] * 1000, len(times) / seconds)
