"""kill -9 of the web server between committing a request and adding it to Redis."""

import signal
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx2

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack, order, text
from tests.support.processes import wait_until


def test_request_committed_but_not_in_redis_is_processed(stack: Stack) -> None:
    """Redis hangs, so that the web server can be killed after its commit. Redis is then killed with the pending
    command.
    """
    stack.freeze(stack.scheduler.pid)
    request, _ = _kill_web_after_commit(stack)
    stack.redis_server.kill_group()

    stack.redis_server.start()
    wait_until(stack.redis_answers, "Redis")
    assert not [key for key in stack.redis.scan_iter("{aiq}:lane:*") if stack.redis.zscore(key, request) is not None]
    assert stack.statuses([request]) == {request: "pending"}
    stack.scheduler.send(signal.SIGCONT)

    assert assert_sound(stack, [request]) == {request: "completed"}


def test_repeat_with_idempotency_key_after_a_lost_answer_returns_the_same_request(stack: Stack) -> None:
    request, key = _kill_web_after_commit(stack)
    stack.redis_server.send(signal.SIGCONT)
    stack.web.start()
    stack.wait_until_ready()

    answer = _post(stack, key)

    assert answer.status_code == 202
    assert answer.json()["requestId"] == request
    assert assert_sound(stack, [request]) == {request: "completed"}


def _kill_web_after_commit(stack: Stack) -> tuple[str, str]:
    """Kill the web server while it waits for a hung Redis after its commit. Returns the request and its idempotency
    key.

    The server waits for two seconds and then answers. If the machine was too busy to kill it in time, another request
    is tried.
    """
    while True:
        stack.redis_server.send(signal.SIGSTOP)
        known, key = _all_requests(stack), str(uuid4())
        with ThreadPoolExecutor(1) as client:
            answer = client.submit(_post, stack, key)
            wait_until(lambda: _all_requests(stack) - known, "the commit")  # noqa: B023 - awaited here
            stack.web.kill_group()
        if isinstance(answer.exception(), httpx2.HTTPError):
            (request,) = _all_requests(stack) - known
            return request, key
        stack.redis_server.send(signal.SIGCONT)
        stack.web.start()
        stack.wait_until_ready()


def _post(stack: Stack, key: str) -> httpx2.Response:
    return stack.post(order("Once only", maxTokens=10), **{"Idempotency-Key": key})


def _all_requests(stack: Stack) -> set[str]:
    return {text(row_id) for (row_id,) in stack.database.rows("SELECT id FROM queue_app_airequest")}
