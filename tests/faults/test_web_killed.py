"""kill -9 of the web server between the commit of a request and its entry into Redis."""

import signal
import threading

import httpx2

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack, order, text
from tests.support.processes import wait_until


def test_a_request_that_was_committed_but_never_reached_redis_is_processed(stack: Stack) -> None:
    """Redis hangs, so that the web server is caught behind its commit; the hung Redis dies with what was sent to it."""
    stack.scheduler.send(signal.SIGSTOP)
    stack.redis_server.send(signal.SIGSTOP)
    known = _all_requests(stack)
    client = threading.Thread(target=_post_and_lose, args=(stack,))
    client.start()
    wait_until(lambda: _all_requests(stack) - known, "the commit")
    stack.web.kill_group()
    stack.redis_server.kill_group()
    client.join()

    stack.redis_server.start()
    wait_until(stack.redis_answers, "Redis")
    (request,) = _all_requests(stack) - known
    assert not [key for key in stack.redis.scan_iter("{aiq}:lane:*") if stack.redis.zscore(key, request) is not None]
    assert stack.statuses([request]) == {request: "pending"}
    stack.scheduler.send(signal.SIGCONT)

    assert assert_sound(stack, [request]) == {request: "completed"}


def test_a_client_that_lost_its_answer_gets_the_same_request_with_its_idempotency_key(stack: Stack) -> None:
    stack.redis_server.send(signal.SIGSTOP)
    known = _all_requests(stack)
    client = threading.Thread(target=_post_and_lose, args=(stack,))
    client.start()
    wait_until(lambda: _all_requests(stack) - known, "the commit")
    stack.web.kill_group()
    client.join()
    stack.redis_server.send(signal.SIGCONT)
    stack.web.start()
    stack.wait_until_ready()

    answer = stack.post(order("Once only", maxTokens=10), **_key(known))

    (request,) = _all_requests(stack) - known
    assert answer.status_code == 202
    assert answer.json()["requestId"] == request
    assert assert_sound(stack, [request]) == {request: "completed"}


def _post_and_lose(stack: Stack) -> None:
    try:
        stack.post(order("Once only", maxTokens=10), **_key(_all_requests(stack)))
    except httpx2.HTTPError:
        return
    raise AssertionError("the web server answered before it was killed")


def _key(known: set[str]) -> dict[str, str]:
    return {"Idempotency-Key": f"once-{len(known)}"}


def _all_requests(stack: Stack) -> set[str]:
    return {text(row_id) for (row_id,) in stack.database.rows("SELECT id FROM queue_app_airequest")}
