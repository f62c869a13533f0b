"""The database's disk fills up during calls: all accepted requests complete, and each call is billed once."""

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aiinfra.full_disk import FULL
from tests.faults.audit import assert_sound
from tests.faults.databases import Postgres, Sqlite
from tests.faults.stack import MANAGE, MODEL, SLOTS, WHOLE_ANSWER, Stack, order, seconds, text
from tests.hosts.clusters import Server
from tests.hosts.small_disk import SmallDisk, small_disk
from tests.support.forked import run
from tests.support.processes import wait_until

LARGE, SMALL = 200_000, 100
"""Prompt lengths in characters. A small prompt still fits where a large one doesn't."""
DONE, QUEUED = "[DONE]", "A question that is asked twice"
STREAM = {"model": MODEL, "max_tokens": WHOLE_ANSWER, "stream": True}
WAITS: dict[str, tuple[str, dict[str, Any]]] = {
    "direct": ("/api/ai/chat", order("A question", wait=True)),
    "worker": ("/api/ai/chat", order(QUEUED, wait=True)),
    "stream": ("/v1/chat/completions", {**STREAM, "messages": order("A third question")["messages"]}),
}
"""Calls of waiting clients. A worker makes a call's second attempt."""


@dataclass
class Product:
    """A running product and its database's disk."""

    stack: Stack
    disk: SmallDisk
    server: Server | None = None

    def free_disk(self) -> None:
        """Free the disk, and restart a stopped PostgreSQL, as its service manager would."""
        self.disk.free()
        if self.server and not self.server.is_running():
            self.server.start()


@pytest.fixture(params=["sqlite", "postgres"])
def product(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Product]:
    """The small disk holds the whole data directory (SQLite) or the cluster (PostgreSQL)."""
    with ExitStack() as cleanup:
        found = _on_sqlite(cleanup) if request.param == "sqlite" else _on_postgres(cleanup, tmp_path)
        cleanup.callback(found.disk.free)
        cleanup.callback(found.stack.shut_down)
        found.stack.sandbox.env["SANDBOX_BOOK"] = str(tmp_path / "book.jsonl")  # the provider has its own disk
        found.stack.prepare()
        found.stack.revive()
        yield found


def _on_sqlite(cleanup: ExitStack) -> Product:
    disk = cleanup.enter_context(small_disk(64))
    return Product(Stack(disk.path, Sqlite(disk.path)), disk)


def _on_postgres(cleanup: ExitStack, directory: Path) -> Product:
    disk = cleanup.enter_context(small_disk(256))
    server = Server(disk.path, min_wal_size="32MB", max_wal_size="32MB")
    cleanup.callback(server.remove)
    server.create()
    return Product(Stack(directory, Postgres(server.url, None)), disk, server)


def test_accepted_requests_complete_when_there_is_space_again(product: Product) -> None:
    stack = product.stack
    in_flight, waiting = stack.held_backlog(SLOTS + 5)
    product.disk.fill()
    accepted, refusal = fill_the_rest(stack)
    assert refusal.json()["error"]["message"].endswith("Try again with the same Idempotency-Key.")
    assert stack.http.get(f"{stack.url}/readyz").status_code == 503
    assert stack.http.get(f"{stack.url}/healthz").status_code == 200
    if product.server is None:
        assert FULL.capitalize() in refusal.text
        assert FULL.capitalize() in doctor(stack)
        assert {stack.status(each)["status"] for each in waiting} == {"pending"}
    stack.release()
    wait_until(lambda: len(stack.book()) >= SLOTS, "the calls to be billed")
    if product.server is None:
        wait_until(lambda: has_expired(stack, in_flight), "the leases to expire")
    product.free_disk()
    statuses = assert_sound(stack, [*in_flight, *waiting, *accepted])
    assert set(statuses.values()) == {"completed"}
    assert {request: len(stack.attempts(request)) for request in in_flight} == dict.fromkeys(in_flight, 1)
    wait_until(lambda: stack.http.get(f"{stack.url}/readyz").status_code == 200, "the web server to be ready")


def test_waiting_clients_get_an_error_and_later_their_answer(product: Product) -> None:
    stack = product.stack
    stack.behave(faults=[{"kind": "status", "status": 503, "times": 1, "contains": QUEUED}, {"kind": "hold"}])
    with ThreadPoolExecutor(len(WAITS)) as clients:
        answers = {name: clients.submit(wait_for, stack, name) for name in WAITS}
        wait_until(lambda: running_calls(stack) == len(WAITS), "a call for each client")
        product.disk.fill()
        fill_the_rest(stack)
        stack.release()
        refusals = {name: answer.result() for name, answer in answers.items()}
    for refusal in refusals.values():
        assert "Repeat the call with the same Idempotency-Key" in refusal.text
        assert refusal.status_code == 503 or DONE not in refusal.text
    if product.server is None:
        assert all(FULL.capitalize() in refusal.text for refusal in refusals.values())
    product.free_disk()
    requests = [text(request) for (request,) in stack.database.rows("SELECT id FROM queue_app_airequest")]
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    billed = len(stack.book())
    assert billed == len(requests)
    assert {name: wait_for(stack, name).status_code for name in WAITS} == dict.fromkeys(WAITS, 200)
    assert len(stack.book()) == billed


def wait_for(stack: Stack, name: str) -> httpx2.Response:
    """Send the call of a waiting client. Repeating it replays the same call."""
    path, body = WAITS[name]
    headers = {"Authorization": f"Bearer {stack.keys['north']}", "Idempotency-Key": name}
    return stack.http.post(f"{stack.url}{path}", json=body, headers=headers)


def running_calls(stack: Stack) -> int:
    """The number of calls that the sandbox is working on."""
    rows = stack.database.rows("SELECT id FROM cost_app_attempt WHERE state = 'dispatched'")
    return sum(stack.call_state(text(attempt)) == "running" for (attempt,) in rows)


def fill_the_rest(stack: Stack) -> tuple[list[str], httpx2.Response]:
    """Fill the space that the database has reserved. Returns the accepted requests and the first refusal."""
    accepted: list[str] = []
    for size in (LARGE, SMALL):
        while (answer := stack.post(order(secrets.token_hex(size // 2)))).status_code == 202:
            accepted.append(str(answer.json()["requestId"]))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), answer.text
    return accepted, answer


def has_expired(stack: Stack, requests: list[str]) -> bool:
    """Whether all leases have expired."""
    ((now,),) = stack.database.rows("SELECT CURRENT_TIMESTAMP")
    return all(seconds(stack.column(request, "lease_until")) < seconds(now) for request in requests)


def doctor(stack: Stack) -> str:
    return run([*MANAGE, "doctor"], {**os.environ, **stack.env}).stdout
