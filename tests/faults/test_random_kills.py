"""Many requests while random parts of the product are killed."""

import itertools
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2
import pytest

from tests.faults.audit import assert_sound, verdict
from tests.faults.stack import Stack, order
from tests.support.processes import wait_until

REQUESTS, KILLS = (1000, 10) if os.environ.get("FAULTS_FULL") else (200, 4)
SEED = int(os.environ.get("FAULTS_SEED", "20261123"))
CLIENTS = 4
BETWEEN_KILLS_S = 2.5
PAUSE_S = 0.2
LIMIT_S = 150
# Most kills hit workers, because they make the calls.
VICTIMS = ["child", "child", "parent", "group", "scheduler", "web", "redis"]
FAULTS = [
    {"kind": "rate_limit", "probability": 0.02},
    {"kind": "reset_after_billing", "probability": 0.02},
    {"kind": "status", "status": 503, "probability": 0.02},
]


@dataclass
class Clients:
    """Requests of several clients, which retry a lost answer with the same idempotency key."""

    stack: Stack
    accepted: dict[int, str] = field(default_factory=dict)
    kills_are_over: threading.Event = field(default_factory=threading.Event)

    def send_all(self) -> None:
        """Send requests until the last kill, and at least `REQUESTS`."""
        with ThreadPoolExecutor(CLIENTS) as threads:
            for sent in [threads.submit(self._send_every, client) for client in range(CLIENTS)]:
                sent.result()

    def _send_every(self, first: int) -> None:
        for number in itertools.count(first, CLIENTS):
            if number >= REQUESTS and self.kills_are_over.is_set():
                return
            self._send(number)
            time.sleep(PAUSE_S)

    def _send(self, number: int) -> None:
        body = order(f"Question {number}", maxRetries=10, priority=random.Random(number).choice(["low", "high"]))
        while True:
            try:
                answer = self.stack.post(body, **{"Idempotency-Key": f"random-{SEED}-{number}"})
            except httpx2.HTTPError:
                time.sleep(0.1)
                continue
            if answer.status_code < 500:
                assert answer.status_code == 202, answer.text
                self.accepted[number] = answer.json()["requestId"]
                return


@pytest.mark.timeout(LIMIT_S + 100)
def test_random_kills_lose_nothing_and_charge_nothing_twice(stack: Stack) -> None:
    stack.behave(latencyMs={"p50": 150, "p95": 500, "p99": 1000}, faults=FAULTS, seed=SEED)
    clients = Clients(stack)
    rng = random.Random(SEED)
    victims = rng.sample(VICTIMS * 2, KILLS)

    with ThreadPoolExecutor(1) as sender:
        sent = sender.submit(clients.send_all)
        try:
            for victim in victims:
                time.sleep(BETWEEN_KILLS_S * rng.uniform(0.6, 1.4))
                wait_until(lambda: _has_calls_in_flight(stack, clients), "calls in flight")
                _kill(stack, victim, rng)
        finally:
            clients.kills_are_over.set()
        sent.result()

    requests = list(clients.accepted.values())
    assert len(set(requests)) == len(clients.accepted) >= REQUESTS
    statuses = assert_sound(stack, requests, LIMIT_S)
    failed = [request for request, status in statuses.items() if status == "failed"]
    print(f"\n{len(requests)} requests, killed {', '.join(victims)} (seed {SEED}): {verdict(stack, requests)}")
    assert set(statuses.values()) <= {"completed", "failed"}
    assert all(stack.column(request, "error_code") == "QUARANTINED" for request in failed)


def _has_calls_in_flight(stack: Stack, clients: Clients) -> bool:
    """Whether calls that can be lost are in flight. More requests are sent until the last kill."""
    return "processing" in stack.statuses(list(clients.accepted.values())).values()


def _kill(stack: Stack, victim: str, rng: random.Random) -> None:
    """Kill a victim and restart it, as the supervisor would. The workers' parent replaces a child itself."""
    match victim:
        case "child":
            if children := stack.workers.children():
                rng.choice(children).kill()
        case "parent":
            stack.workers.kill()
            stack.workers.start()
        case "group":
            stack.workers.kill_group()
            stack.workers.start()
        case "redis":
            stack.redis_server.kill()
            time.sleep(1)
            stack.redis_server.start()
        case _:
            program = {"scheduler": stack.scheduler, "web": stack.web}[victim]
            program.kill_group()
            program.start()
