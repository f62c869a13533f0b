"""`python -m tests.faults.storm [SECONDS] [CLIENTS]`: waiting and streamed calls during random kills.

Kills and restarts workers, the web server, and Redis. Every call must end with an answer, with an error in the
vendor's format, or with a connection closed by a killed web server. The ledger must equal the provider's book. Prints
figures. Runs on SQLite, or with DATABASE_URL=postgres:// on a new database of the server that the fault tests use.
"""

import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.faults.audit import assert_sound, verdict
from tests.faults.databases import Database, Sqlite, fresh_postgres, vendors
from tests.faults.stack import CLIENT_TIMEOUT_S, MODEL, Stack, text
from tests.faults.test_random_kills import _kill

PATH = "/v1/chat/completions"
VICTIMS = ["child", "redis", "parent", "child", "redis", "web"]
BETWEEN_KILLS_S = 5.0
PAUSE_S = 0.1
LATENCY_MS = {"p50": 300, "p95": 900, "p99": 1500}
WHOLE, CUT_OFF, NOBODY = "whole", "cut off with the web server", "not sent: the web server is starting"


class Storm:
    """Clients that make calls until the last kill, half of them streaming, and the results of their calls."""

    def __init__(self, stack: Stack, clients: int) -> None:
        self._stack = stack
        self._clients = clients
        self._is_over = threading.Event()
        self.ends: Counter[str] = Counter()

    def kill_at_random(self, seconds: float, rng: random.Random) -> list[str]:
        """Kill for this many seconds. Returns the victims."""
        killed = []
        with ThreadPoolExecutor(self._clients) as threads:
            calling = [threads.submit(self._call_on, number) for number in range(self._clients)]
            until = time.monotonic() + seconds
            try:
                while time.monotonic() < until:
                    time.sleep(BETWEEN_KILLS_S * rng.uniform(0.6, 1.4))
                    killed.append(VICTIMS[len(killed) % len(VICTIMS)])
                    _kill(self._stack, killed[-1], rng)
            finally:
                self._is_over.set()
            for each in calling:
                each.result()
        return killed

    def _call_on(self, client: int) -> None:
        number = client
        while not self._is_over.is_set():
            self.ends[self._call(number, is_streamed=client % 2 == 0)] += 1
            number += self._clients
            time.sleep(PAUSE_S)

    def _call(self, number: int, *, is_streamed: bool) -> str:
        """The result of a call. Raises AssertionError if the answer has the wrong format."""
        messages = [{"role": "user", "content": f"Storm {number}"}]
        body = {"model": f"deepseek/{MODEL}", "max_tokens": 100, "stream": is_streamed, "messages": messages}
        headers = {"Authorization": f"Bearer {self._stack.keys['north']}"}
        try:
            answer = self._stack.http.post(
                f"{self._stack.url}{PATH}", json=body, headers=headers, timeout=CLIENT_TIMEOUT_S
            )
        except httpx2.ConnectError:
            time.sleep(PAUSE_S * 10)
            return NOBODY
        except httpx2.HTTPError:
            return CUT_OFF
        if answer.status_code >= 400:
            return f"{answer.status_code} {answer.json()['error']['code']}"
        return _end_of_stream(answer.text) if is_streamed else _end_of_body(answer.json())


def _end_of_body(answer: dict[str, object]) -> str:
    assert answer["object"] == "chat.completion", answer
    return WHOLE


def _end_of_stream(answer: str) -> str:
    last = [line for line in answer.splitlines() if line.startswith("data: ")][-1].removeprefix("data: ")
    return WHOLE if last == "[DONE]" else f"error event {json.loads(last)['error']['code']}"


@contextmanager
def _database(folder: Path) -> Iterator[Database]:
    if vendors() == ["postgres"]:
        with fresh_postgres() as database:
            yield database
    else:
        yield Sqlite(folder)


def main(seconds: float = 60.0, clients: int = 128) -> None:
    """Run a storm with two web processes."""
    with tempfile.TemporaryDirectory() as folder, _database(Path(folder)) as database:
        stack = Stack(Path(folder), database, WEB_PROCESSES="2")
        try:
            stack.prepare()
            stack.revive()
            stack.behave(latencyMs=LATENCY_MS, seed=1)
            storm = Storm(stack, clients)
            killed = storm.kill_at_random(seconds, random.Random(1))
            stack.behave()
            stack.wait_until_ready()
            requests = [text(row) for (row,) in stack.database.rows("SELECT id FROM queue_app_airequest")]
            assert_sound(stack, requests, limit_s=300)
            print(f"{clients} clients, {seconds:.0f} s, killed {dict(Counter(killed))}")
            print(f"{sum(storm.ends.values())} calls: {dict(storm.ends.most_common())}")
            print(f"{len(requests)} requests, {verdict(stack, requests)}")
        finally:
            stack.shut_down()


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:3]))
