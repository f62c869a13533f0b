"""Benchmark of the cache: hits, writes, cold index, memory, concurrency, in process and over HTTP, compared with
GPTCache.

Run with `make bench` or `python benchmarks/cache.py`; `ENTRIES` (100,000) and `FEW` (10,000) are the two sizes.
Nothing is simulated: Redis with AOF, SQLite, gunicorn, the local embedder, guards. An organization's entries are in
one partition. Their vectors are embeddings of the project's own questions and mixtures of them. Asked questions are
embedded, unless a line says otherwise. GPTCache gets the same vectors and is installed in a temporary environment.
"""

import sys
from pathlib import Path

# Python puts the folder of a script first in its path, where `queue.py` would hide the standard library's `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks._installation import Installation, installation
from tests.support.processes import ROOT

FEW = int(os.environ.get("FEW", "10000"))
ENTRIES = int(os.environ.get("ENTRIES", "100000"))
SLUGS = {FEW: "bench", ENTRIES: "large"}
PEER = ("gptcache==0.1.44", "faiss-cpu==1.15.1", "sqlalchemy==2.1.9", "numpy==2.4.6", "setuptools==65.5.0")
"""All requirements, because GPTCache installs missing ones during import."""
PEER_LIMIT_S = 240
HTTP_ROUNDS = 3
WARMING = 24
"""Warm-up: hits in a row over separate connections, so that each web process has had some."""
WARM_LIMIT_S = 60
TARGETS = {
    "exact": 1,
    "semantic": {FEW: 10, ENTRIES: 15},
    "http": 20,
    "add": 1,
    "cold_s": 3,
    "index_mb": 200,
    "rss_mb": 600,
    "busy": 3,
}
Times = Sequence[float]


def step(at: Installation, name: str, *arguments: object) -> dict[str, Any]:
    """Run a step in an installation and return its figures."""
    command = [sys.executable, "-m", "benchmarks._cache_steps", name, *map(str, arguments)]
    env = {**os.environ, **at.env}
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def verdict(value: float, target: float) -> str:
    """Whether a figure meets its target."""
    return f"target < {target}: {'kept' if value < target else 'MISSED'}"


def p50(times: Times) -> float:
    """Median."""
    return statistics.median(times)


def p99(times: Times) -> float:
    """The 99th percentile; of few values, nearly the maximum."""
    return statistics.quantiles([*times, *times], n=100, method="inclusive")[98]


def say(name: str, times: Times, note: str = "") -> None:
    """A line of times in ms."""
    print(f"  {name:52}{p50(times):9.2f}{p99(times):9.2f}  {note}", flush=True)


def aim(name: str, times: Times, target: float) -> None:
    """A line of times in ms, with a target for the median."""
    say(name, times, verdict(p50(times), target))


def head(title: str) -> None:
    """A table header."""
    print(f"\n{title:54}{'p50 ms':>9}{'p99 ms':>9}")


def bench_organization(at: Installation, folder: Path, count: int) -> dict[str, Any]:
    """Measure everything in process for one size. Returns the figures for the comparison."""
    slug = SLUGS[count]
    began = time.perf_counter()
    added = step(at, "fill", folder, slug, count)
    head(f"{count:,} entries (written in {time.perf_counter() - began:.0f} s)")
    aim("add to the store", added["put"], TARGETS["add"])
    aim("add, with the organization's rules and reports", added["keep"], TARGETS["add"])
    found = step(at, "look", folder, slug, count)
    print_hits(found, count)
    print_cold(found)
    print_at_once(found)
    return {**found, "add": added["keep"]}


def print_hits(found: dict[str, Any], count: int) -> None:
    """Sequential hits of one process."""
    aim("exact hit, first time in this process", found["exact"], TARGETS["exact"])
    aim("exact hit, again", found["exact_again"], TARGETS["exact"])
    aim("semantic hit, questions of 20 words", found["semantic"], TARGETS["semantic"][count])
    say("  of which the embedder", found["embedder"])
    say("  the same, vectors remembered", found["semantic_known"])
    aim("semantic hit, questions of 7 words", found["semantic_short"], TARGETS["semantic"][count])


def print_cold(found: dict[str, Any]) -> None:
    """Building an empty index, and memory."""
    say("lookups while the index is built", found["cold"], f"{len(found['cold'])} of them, without a pause")
    for name, key, unit in (
        ("cold index built during lookups", "cold_s", "s"),
        ("index, by its own count", "index_mb", "MB"),
        ("the process grew while it was built by", "grown_mb", "MB"),
        ("the whole process", "rss_mb", "MB"),
    ):
        target = TARGETS["index_mb" if key == "grown_mb" else key]
        print(f"  {name:52}{found[key]:9.2f} {unit:9} {verdict(found[key], target)}")


def print_at_once(found: dict[str, Any]) -> None:
    """8 threads of one process, continuously. On fewer cores, they also wait for each other."""
    one, quiet, busy = found["one"], found["quiet"], found["busy"]
    say("1 thread, embedder included", one)
    say("8 threads at once", quiet, f"p99 {p99(quiet) / p99(one):.1f} x that of 1 thread")
    ratio = p99(busy) / p99(quiet)
    writing = f"p99 {ratio:.1f} x quiet, {verdict(ratio, TARGETS['busy'])}; {found['written_per_s']:.0f} written/s"
    say("8 threads while another process writes", busy, writing)


class Browser:
    """A keep-alive client of the web server, with an API key."""

    def __init__(self, at: Installation, key: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(at.url).netloc)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, path: str, text: str) -> tuple[float, dict[str, Any]]:
        """Ask one question. Returns (ms, answer)."""
        action = {"action": "lookup"} if path.endswith("cache") else {}
        turn = {"role": "user", "content": text}
        body = json.dumps({**action, "provider": "deepseek", "model": "deepseek-chat", "messages": [turn]})
        began = time.perf_counter()
        self._connection.request("POST", path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        ms = (time.perf_counter() - began) * 1000
        assert answer.status in (200, 202), (answer.status, content)
        return ms, json.loads(content)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def bench_http(at: Installation, folder: Path) -> None:
    """Hits over both endpoints, and the memory of the web processes."""
    questions = json.loads((folder / "questions.json").read_text())["long"]
    for count, slug in SLUGS.items():
        key = at.manage("createapikey", slug, "--name", "http", "--role", "admin").split()[-1]
        warm(at, key, questions)
        head(f"{count:,} entries, over HTTP, SQLite")
        for path, hit in (("/api/ai/cache", "hit"), ("/api/ai/chat", "cached")):
            times = asked(Browser(at, key), path, hit, questions)
            aim(f"POST {path}, semantic hit", times, TARGETS["http"])
    print_web_memory(at)


def warm(at: Installation, key: str, questions: Sequence[str]) -> None:
    """Ask over new connections until each web process has loaded its model and index, and every answer is a hit."""
    hits, answer, end = 0, {}, time.monotonic() + WARM_LIMIT_S
    while hits < WARMING:
        assert time.monotonic() < end, f"the web processes did not warm up: {answer}"
        browser = Browser(at, key)
        answer = browser.ask("/api/ai/cache", questions[hits])[1]
        hits = hits + 1 if answer["hit"] else 0
        browser.close()
        time.sleep(0.05)


def asked(browser: Browser, path: str, hit: str, questions: Sequence[str]) -> list[float]:
    """The milliseconds of each lookup. Varying trailing whitespace bypasses the vector memory. All are hits."""
    times = []
    for number in range(HTTP_ROUNDS):
        blanks = " " * (HTTP_ROUNDS * (path.endswith("chat")) + number + 1)
        for text in questions:
            ms, answer = browser.ask(path, text + blanks)
            assert answer[hit], (text, answer)
            times.append(ms)
    return times


def print_web_memory(at: Installation) -> None:
    """The memory of the largest web process, which has both organizations in its index."""
    port = int(at.env["PORT"])
    listening = {each.pid for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port}
    largest = max(psutil.Process(pid).memory_info().rss for pid in listening if pid and psutil.pid_exists(pid)) / 1e6
    print(f"  {'largest web process, both organizations in it':52}{largest:9.2f} MB        ", end=" ")
    print(verdict(largest, TARGETS["rss_mb"]))


def peer_installing(folder: Path) -> "subprocess.Popen[bytes]":
    """Create GPTCache's environment in the background."""
    script = '"$0" -m venv "$1/peer" && "$1/peer/bin/python" -m pip install --quiet "${@:2}"'
    command = ["bash", "-c", script, sys.executable, str(folder), *PEER]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bench_peer(folder: Path, count: int, ours: dict[str, Any]) -> None:
    """GPTCache with the same vectors, compared with ours without the embedder."""
    command = [str(folder / "peer/bin/python"), str(ROOT / "benchmarks/_gptcache.py"), str(folder), str(count)]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PEER_LIMIT_S, cwd=folder)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"\nGPTCache with {count:,} entries left out: {error}")
        return
    theirs = json.loads(done.stdout.splitlines()[-1])
    head(f"{count:,} entries, vectors given")
    for name, mine, key in (
        ("add", "add", "add"),
        ("semantic hit", "semantic_known", "semantic"),
        ("exact hit", "exact", "exact"),
    ):
        say(f"{name}, ours", ours[mine])
        say(f"{name}, GPTCache", theirs[key], f"{p50(theirs[key]) / p50(ours[mine]):.1f} x ours")


def main() -> None:
    """Run all benchmarks in turn."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, load before {load}")
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        peer = peer_installing(folder)
        at = running.enter_context(installation("sqlite"))
        at.manage("createorg", SLUGS[ENTRIES])
        asks = step(at, "prepare", folder, ENTRIES)
        has_peer = peer.wait() == 0
        print(f"{asks['asked']} repeated questions, of {asks['words']:.0f} words each")
        found = {count: bench_organization(at, folder, count) for count in SLUGS}
        bench_http(at, folder)
        for count in SLUGS if has_peer else ():
            bench_peer(folder, count, found[count])
    if not has_peer:
        print("\nGPTCache left out: it could not be installed")


if __name__ == "__main__":
    main()
