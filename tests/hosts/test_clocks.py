"""A host whose clock is five minutes off takes no work from the other host, and does its own work in time."""

import os
from collections.abc import Iterator

import pytest

from tests.faults.audit import assert_sound
from tests.faults.databases import fresh_postgres, postgres_template
from tests.faults.stack import MANAGE, SLOTS, Stack
from tests.hosts.second_host import SecondHost
from tests.hosts.wrong_clock import environment
from tests.support.forked import run
from tests.support.processes import wait_until

WRONG_BY_S = 300


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The first host, whose clock is right. It has no scheduler, so repairs are left to the second host."""
    with fresh_postgres(postgres_template()) as database:
        running = Stack(tmp_path_factory.mktemp("right"), database)
        running.programs.remove(running.scheduler)
        try:
            running.prepare()
            running.revive()
            yield running
        finally:
            running.shut_down()


@pytest.fixture(scope="module", params=[WRONG_BY_S, -WRONG_BY_S], ids=["ahead", "behind"])
def wrong(
    request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecondHost]:
    """The second host, whose clock is off."""
    directory = tmp_path_factory.mktemp("wrong")
    host = SecondHost(stack, directory, **environment(request.param, directory))
    try:
        host.start()
        yield host
    finally:
        host.shut_down()


def test_host_with_a_wrong_clock_takes_no_leased_work(stack: Stack, wrong: SecondHost) -> None:
    stack.hold()
    requests = [enqueue(f"Question {number}") for number in range(SLOTS) for enqueue in (stack.enqueue, wrong.enqueue)]
    stack.wait_until_in_flight(requests, 2 * SLOTS)
    workers = {each: stack.worker_of(each) for each in requests}
    victim = next(child for child in stack.workers.children() if child.pid in workers.values())
    lost = [each for each in requests if workers[each] == victim.pid]
    victim.kill()
    # The second host's scheduler checks all leases and must recover only the expired ones.
    wait_until(lambda: all(attempts_of(stack, each) == 2 for each in lost), "the lost requests to be recovered")
    stack.release()
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert {each for each in requests if attempts_of(stack, each) > 1} == set(lost)


def test_retries_start_in_time(stack: Stack, wrong: SecondHost) -> None:
    """Backoff between attempts is at most a second, but minutes by the other host's clock."""
    stack.behave(faults=[{"kind": "status", "times": 4}])
    requests = [enqueue("Again?") for _ in range(4) for enqueue in (stack.enqueue, wrong.enqueue)]
    assert set(assert_sound(stack, requests, limit_s=WRONG_BY_S - 60).values()) == {"completed"}
    assert sum(attempts_of(stack, each) for each in requests) == len(requests) + 4


def test_doctor_reports_the_clock_difference(wrong: SecondHost) -> None:
    doctor = run([*MANAGE, "doctor"], {**os.environ, **wrong.env})
    assert doctor.returncode == 1
    for other in ("database", "Redis"):
        assert f"FAILED  This host's clock and that of {other} differ by {WRONG_BY_S}." in doctor.stdout


def attempts_of(stack: Stack, request_id: str) -> int:
    """The number of a request's attempts."""
    return len(stack.attempts(request_id))
