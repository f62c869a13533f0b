"""kill -9 while identical requests wait for one answer."""

from uuid import uuid4

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack
from tests.support.processes import wait_until

FOLLOWERS = 12


def test_followers_survive_the_loss_of_all_workers(stack: Stack) -> None:
    stack.hold()
    question = f"How do I plan a garden of {uuid4()}?"
    leader, *followers = [stack.ask(question) for _ in range(1 + FOLLOWERS)]
    stack.wait_until_in_flight([leader], 1)
    assert all(stack.column(follower, "leader_id") for follower in followers), "there are no followers"
    stack.workers.kill_group()
    stack.scheduler.kill_group()
    late = [stack.ask(question) for _ in range(3)]
    stack.release()
    stack.scheduler.start()
    stack.workers.start()

    requests = [leader, *followers, *late]
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert sum(len(stack.attempts(request)) for request in [*followers, *late]) == 0, "a follower called the provider"
    hits = stack.database.rows("SELECT COUNT(*) FROM cost_app_ledgerentry WHERE kind = 'cache_hit'")
    assert hits[0][0] >= FOLLOWERS + 3
    answers = {stack.status(request)["response"]["content"] for request in requests}
    assert len(answers) == 1


def test_followers_of_a_failed_leader_are_answered_by_another_call(stack: Stack) -> None:
    stack.hold()
    question = f"How do I plant a hedge of {uuid4()}?"
    leader, *followers = [stack.ask(question) for _ in range(4)]
    stack.wait_until_in_flight([leader], 1)
    stack.workers.kill_group()
    stack.post({"action": "cancel", "requestId": leader})
    stack.release()
    stack.workers.start()

    statuses = assert_sound(stack, [leader, *followers])
    assert statuses.pop(leader) == "cancelled"
    assert set(statuses.values()) == {"completed"}
    wait_until(lambda: sum(len(stack.attempts(follower)) for follower in followers) == 1, "one call for all of them")
