"""Benchmark of the gateway, compared with LiteLLM and Portkey, all in front of one fast upstream, in one run.

Run with `python benchmarks/gateway.py`. The peers are installed into a temporary folder, or into `PEERS`, which is
kept; a peer that cannot be installed or started is skipped with a message. aiinfra runs with keys, a blocking budget,
the ledger, and the cache, and every question is new; the peers run without such features. Milliseconds depend on the
machine: compare ratios.
"""

import sys
from pathlib import Path

# Python puts the folder of a script first in its path, where `queue.py` would hide the standard library's `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import http.client
import json
import os
import re
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from urllib.parse import urlsplit

import psutil

from benchmarks._gateways import Gateway, direct, litellm, ours, portkey
from tests.support.processes import free_port, start, wait_until

REQUESTS = int(os.environ.get("REQUESTS", "200"))
"""Calls of one client; several clients make twice as many together, and streams a quarter."""
CLIENTS, STREAMS = (1, 8, 64), (1, 16, 48)
WARM_UP = 20
TOKEN_TIME = re.compile(rb'"content": ?"(\d+\.\d{6})"')
numbers = count()


@dataclass(frozen=True)
class Load:
    """What some clients measured: milliseconds, calls per second, and CPU of the gateway per call in milliseconds."""

    p50: float
    p95: float
    p99: float
    per_second: float
    cpu_ms: float


def call(connection: http.client.HTTPConnection, at: Gateway, *, is_streamed: bool) -> float:
    """Seconds of one call: to its end, or to the first event of a stream."""
    question = f"Summarise the report number {next(numbers)} of this quarter by site."
    body = {"model": at.model, "messages": [{"role": "user", "content": question}], "max_tokens": 100}
    headers = {"Content-Type": "application/json", **at.headers}
    began = time.perf_counter()
    connection.request("POST", urlsplit(at.url).path, json.dumps({**body, "stream": is_streamed}), headers)
    answer = connection.getresponse()
    first = answer.readline() if is_streamed else b""
    passed = time.perf_counter() - began
    text = first + answer.read()
    assert answer.status == 200 and (b"[DONE]" in text or not is_streamed), (at.name, answer.status, text[-300:])
    return passed if is_streamed else time.perf_counter() - began


def first_token_delay(connection: http.client.HTTPConnection, at: Gateway) -> float:
    """Seconds between the sending of the provider's first token, which contains the time, and its arrival."""
    question = f"Count {next(numbers)} sheep SLOWLY."
    body = {"model": at.model, "messages": [{"role": "user", "content": question}], "max_tokens": 100, "stream": True}
    headers = {"Content-Type": "application/json", **at.headers}
    connection.request("POST", urlsplit(at.url).path, json.dumps(body), headers)
    answer = connection.getresponse()
    while not (found := TOKEN_TIME.search(answer.readline())):
        assert answer.status == 200 and not answer.closed, (at.name, answer.status)
    passed = time.time() - float(found[1])
    assert b"[DONE]" in answer.read(), at.name
    return passed


def measure(
    at: Gateway, clients: int, calls: int, *, is_streamed: bool = False, what: Callable[..., float] | None = None
) -> Load:
    """Run this many calls, divided among clients that start together. Measures `what`, or the time of a call."""
    timed = what or partial(call, is_streamed=is_streamed)
    times: list[float] = []
    together = threading.Barrier(clients + 1)

    def run() -> None:
        connection = http.client.HTTPConnection(urlsplit(at.url).netloc, timeout=120)
        try:
            timed(connection, at)
        except Exception:
            together.abort()
            raise
        connection.close()  # the server might close an idle one
        together.wait()
        times.extend([timed(connection, at) for _ in range(max(1, calls // clients))])
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    together.wait()
    cpu_s, began = at.cpu_s(), time.perf_counter()
    for thread in threads:
        thread.join()
    seconds, used_s = time.perf_counter() - began, at.cpu_s() - cpu_s
    cuts = [cut * 1000 for cut in statistics.quantiles(times, n=100, method="inclusive")]
    return Load(cuts[49], cuts[94], cuts[98], len(times) / seconds, used_s / len(times) * 1000)


def bench(gateways: list[Gateway]) -> None:
    """Measure the gateways one after another at each load and print the figures."""
    plain = measure(gateways[0], 1, REQUESTS)
    for clients in CLIENTS:
        print(f"\n{clients} clients: added p50 / p95 / p99 ms, calls per second, CPU ms per call")
        for at in gateways[1:]:
            load = measure(at, clients, REQUESTS * min(clients, 2))
            added = " / ".join(f"{each - plain.p50:7.1f}" for each in (load.p50, load.p95, load.p99))
            print(f"  {at.name:9} {added}   {load.per_second:6.1f}/s   {load.cpu_ms:6.1f} ms", flush=True)
    streaming = [at for at in gateways[1:] if can_stream(at)]
    for streams in STREAMS:
        print(f"\n{streams} streams: first event p50 / p99 ms, streams per second, CPU ms per stream")
        for at in streaming:
            load = measure(at, streams, max(REQUESTS // 4, streams), is_streamed=True)
            print(f"  {at.name:9} {load.p50:7.1f} / {load.p99:7.1f}   {load.per_second:6.1f}/s   {load.cpu_ms:6.1f} ms")
    for streams in STREAMS:
        print(f"\n{streams} streams: first token p50 / p99 ms after the provider's")
        for at in [gateways[0], *streaming]:
            load = measure(at, streams, 3 * streams, what=first_token_delay)
            print(f"  {at.name:9} {load.p50:7.1f} / {load.p99:7.1f}", flush=True)
    print("\nmemory afterwards")
    for at in gateways[1:]:
        print(f"  {at.name:9} {at.memory_mb():6.0f} MB in {len(at.processes)} processes")


@contextmanager
def peers_folder() -> Iterator[Path]:
    """The folder in which the peers are installed."""
    if kept := os.environ.get("PEERS"):
        yield Path(kept)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def can_stream(at: Gateway) -> bool:
    """Whether the gateway passes streams through."""
    try:
        call(http.client.HTTPConnection(urlsplit(at.url).netloc), at, is_streamed=True)
    except (AssertionError, OSError, http.client.HTTPException) as error:
        print(f"!!! {at.name} STREAMS NOTHING HERE: {error}")
        return False
    return True


def is_open(port: int) -> bool:
    """Whether a server listens on the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def opened(running: ExitStack, name: str, gateway: Callable[[], AbstractContextManager[Gateway]]) -> list[Gateway]:
    """The gateway after its first response; None if it cannot be installed or started."""
    try:
        at = running.enter_context(gateway())
        call(http.client.HTTPConnection(urlsplit(at.url).netloc), at, is_streamed=False)
        measure(at, 1, WARM_UP)
    except Exception as error:
        print(f"!!! {name} IS LEFT OUT: {type(error).__name__}: {error}")
        return []
    return [at]


def main() -> None:
    """Start the upstream and all gateways, and measure."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, load before {load}")
    port = free_port()
    upstream = [sys.executable, str(Path(__file__).with_name("_upstream.py")), str(port)]
    with ExitStack() as running:
        folder = running.enter_context(peers_folder())
        running.enter_context(start(upstream))
        wait_until(lambda: is_open(port), "the upstream")
        gateways = [running.enter_context(direct(port)), running.enter_context(ours(port))]
        gateways += opened(running, "LiteLLM", lambda: litellm(port, folder))
        gateways += opened(running, "Portkey", lambda: portkey(port, folder))
        measure(gateways[1], 1, WARM_UP)
        bench(gateways)


if __name__ == "__main__":
    main()
