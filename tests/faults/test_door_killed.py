"""kill -9 of a web server at every point of a direct call."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from threading import Semaphore
from typing import Any

import httpx2
import pytest

from tests.faults.audit import assert_agreement, assert_sound, ledger_differences
from tests.faults.deaths import run_until_killed
from tests.faults.door import POINTS
from tests.faults.stack import MODEL, PAST, Stack, order, text
from tests.support.processes import START_LIMIT_S, wait_until

WITHOUT_KEY = "-"
CLIENTS = 50
STREAMS, RESPONSES = "/v1/chat/completions", "/v1/responses"
STREAMED = "Streamed question"
ABANDONED = (datetime.now(UTC) - timedelta(minutes=5)).isoformat(" ")
"""A start time of a call without an answer, so old that its server must have died."""
HELD = [{"kind": "stream_hold", "contains": STREAMED}, {"kind": "hold"}]
"""Streams are held in the middle, other calls before their answer."""


def test_crash_during_a_direct_call_leaves_no_hold_and_no_unbooked_cost(stack: Stack) -> None:
    stack.scheduler.stop()
    wait_until_idle(stack)
    stack.hold(contains="mid_call")
    doors = [(point, key) for point in POINTS for key in (WITHOUT_KEY, f"key-{point}")]
    dead = dict(zip(doors, run_until_killed(stack, "tests.faults.door", doors), strict=True))
    assert held(stack) > 0, "nothing was reserved"
    stack.release()
    stack.scheduler.start()

    statuses = assert_sound(stack, list(dead.values()))

    for (point, key), request in dead.items():
        answered = point == "after_settle" or key != WITHOUT_KEY
        assert statuses[request] == ("completed" if answered else "failed"), (point, key)
        assert stack.column(request, "error_code") == ("" if answered else "CALLER_LOST")
        assert len(stack.attempts(request)) == (1 if point == "after_settle" or not answered else 2)
    assert held(stack) == 0
    assert_agreement(stack)


@pytest.mark.parametrize("key", [None, "once-more"])
def test_calls_of_a_killed_web_server_are_booked_and_can_be_repeated(stack: Stack, key: str | None) -> None:
    """The server's clients are cut off, two of them during a stream. Their calls are booked as billed. Clients that
    repeat them with their idempotency key get the answers at no further cost.
    """
    before = all_requests(stack)
    stack.behave(faults=HELD)
    begun = Semaphore(0)
    with ThreadPoolExecutor(4) as clients:
        waiting = [clients.submit(wait_for_answer, stack, number, key) for number in range(2)]
        waiting += [clients.submit(read_stream, stack, number, key, begun) for number in range(2)]
        wait_until(lambda: len(all_requests(stack) - before) == 4, "four requests")
        mine = sorted(all_requests(stack) - before)
        stack.wait_until_in_flight(mine, 2)
        assert all(begun.acquire(timeout=START_LIMIT_S) for _ in range(2))
        assert {str(stack.column(request, "worker")).split(":")[0] for request in mine} == {"direct"}
        stack.web.kill_group()
        assert all(isinstance(client.exception(), httpx2.HTTPError) for client in waiting)
    restart_and_audit(stack, mine, key)
    if key:
        billed = len(stack.book())
        assert [wait_for_answer(stack, number, key).status_code for number in range(2)] == [200, 200]
        assert all(read_stream(stack, number, key, begun) for number in range(2))
        assert (all_requests(stack) - before, len(stack.book())) == (set(mine), billed)


def test_embedding_of_a_killed_web_server_is_booked_and_frees_its_key(stack: Stack) -> None:
    stack.hold()
    with ThreadPoolExecutor(1) as client:
        cut_off = client.submit(embed, stack)
        wait_until(lambda: embedding_calls(stack) == ["running"], "the call to arrive")
        stack.web.kill_group()
        assert isinstance(cut_off.exception(), httpx2.HTTPError)
    restart_web(stack)

    again = embed(stack)
    assert (again.status_code, again.headers["Retry-After"]) == (409, "1")

    stack.database.rows(f"UPDATE tenants_onceanswer SET created_at = '{ABANDONED}' WHERE status IS NULL")  # noqa: S608 - a constant
    assert embed(stack).status_code == 200
    assert embed(stack).headers["Idempotent-Replayed"] == "true"
    stack.database.rows(f"UPDATE cost_app_attempt SET deadline_at = '{PAST}' WHERE state = 'dispatched'")  # noqa: S608 - a constant
    wait_until(lambda: embedding_calls(stack) == [], "every attempt to be closed")
    wait_until(lambda: not ledger_differences(stack), "the ledger to equal the book")
    assert held(stack) == 0


def test_disconnected_clients_leave_nothing_behind(stack: Stack) -> None:
    """Their calls are in progress, so they end like others: answered, booked, and cached. Half of the clients were
    reading a stream.
    """
    before = all_requests(stack)
    stack.behave(faults=HELD)
    with ExitStack() as connections:
        for number in range(CLIENTS):
            client = connections.enter_context(socket.create_connection(("127.0.0.1", int(stack.env["PORT"]))))
            client.sendall(raw_stream(stack, number) if number % 2 else raw_call(stack, number))
            if number % 2:
                with client.makefile("rb") as response:
                    assert any(line.startswith(b"data: ") for line in response), "the stream did not begin"
        wait_until(lambda: len(all_requests(stack) - before) == CLIENTS, "all requests")
        mine = sorted(all_requests(stack) - before)
        stack.wait_until_in_flight(mine, CLIENTS // 2)
    stack.release()

    assert set(assert_sound(stack, mine).values()) == {"completed"}
    assert held(stack) == 0
    assert wait_for_answer(stack, 0, None).status_code == 200


def restart_web(stack: Stack) -> None:
    """Restart the killed web server, and let the provider answer."""
    stack.release()
    stack.web.start()
    stack.wait_until_ready()


def restart_and_audit(stack: Stack, requests: list[str], key: str | None) -> None:
    """Restart the web server. Calls with an idempotency key complete; the others fail."""
    restart_web(stack)
    statuses = assert_sound(stack, requests)
    assert set(statuses.values()) == {"completed" if key else "failed"}
    assert held(stack) == 0


def raw_call(stack: Stack, number: int) -> bytes:
    return _raw(stack, "/api/ai/chat", order(f"Hung up {number}", wait=True))


def raw_stream(stack: Stack, number: int) -> bytes:
    return _raw(stack, STREAMS, streamed_order(f"{number} hung up"))


def _raw(stack: Stack, path: str, order: dict[str, Any]) -> bytes:
    body = json.dumps(order).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {stack.keys['north']}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def wait_for_answer(stack: Stack, number: int, key: str | None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {stack.keys['north']}"}
    if key:
        headers["Idempotency-Key"] = f"{key}-{number}"
    text = f"Waited question {number} {key}"
    if number % 2:
        message = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
        return stack.http.post(f"{stack.url}/v1/messages", json=message, headers=headers, timeout=START_LIMIT_S)
    body = order(text, wait=True)
    return stack.http.post(f"{stack.url}/api/ai/chat", json=body, headers=headers, timeout=START_LIMIT_S)


def embed(stack: Stack) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {stack.keys['north']}", "Idempotency-Key": "embedded-once"}
    body = {"model": "text-embedding-3-small", "input": "Embedded once"}
    return stack.http.post(f"{stack.url}/v1/embeddings", json=body, headers=headers, timeout=START_LIMIT_S)


def embedding_calls(stack: Stack) -> list[str]:
    """The sandbox's state of each open call without a request."""
    rows = stack.database.rows(
        "SELECT id FROM cost_app_attempt WHERE request_id IS NULL AND state NOT IN ('settled', 'released')"
    )
    return [stack.call_state(text(attempt)) for (attempt,) in rows]


def streamed_order(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"{STREAMED} {text}"}]
    return {"model": "deepseek/deepseek-chat", "max_tokens": 100, "stream": True, "messages": messages}


def read_stream(stack: Stack, number: int, key: str | None, begun: Semaphore) -> bool:
    """Read a stream to its end, and signal when it has begun. Returns whether it ended properly."""
    headers = {"Authorization": f"Bearer {stack.keys['north']}"}
    if key:
        headers["Idempotency-Key"] = f"{key}-stream-{number}"
    path, end = (RESPONSES, "event: response.completed") if number % 2 else (STREAMS, "data: [DONE]")
    body = streamed_order(f"{number} {key}")
    if path == RESPONSES:
        body = {"model": MODEL, "stream": True, "max_output_tokens": 100, "input": body["messages"]}
    with stack.http.stream("POST", f"{stack.url}{path}", json=body, headers=headers, timeout=START_LIMIT_S) as response:
        lines = response.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        begun.release()
        return end in list(lines)


def wait_until_idle(stack: Stack) -> None:
    """Wait for an empty queue: ready work would go first, and direct calls would only be queued."""
    live = "SELECT id FROM queue_app_airequest WHERE status IN ('pending', 'processing')"
    wait_until(lambda: not stack.database.rows(live), "the queue to be empty")


def held(stack: Stack) -> int:
    ((nano,),) = stack.database.rows("SELECT SUM(reserved_nano) FROM cost_app_budgetwindow")
    return int(nano or 0)


def all_requests(stack: Stack) -> set[str]:
    return {text(row_id) for (row_id,) in stack.database.rows("SELECT id FROM queue_app_airequest")}
