"""A restore drill: the database is restored from a dump, Redis is empty, and the books agree."""

from urllib.parse import urlsplit

from tests.faults.audit import assert_agreement, assert_sound
from tests.faults.databases import administer
from tests.faults.stack import SLOTS, Stack
from tests.hosts.clusters import dump, restore


def test_restored_requests_complete_and_the_books_agree(stack: Stack) -> None:
    stack.revive()
    done = [stack.enqueue(f"Question {number}") for number in range(3)]
    stack.wait_until_ended(done)
    in_flight, waiting = stack.held_backlog(SLOTS + 5)
    dumped = dump(stack.database.url)
    late = stack.enqueue("This one is not in the dump")
    programs = [stack.web, stack.workers, stack.scheduler]
    for program in programs:
        program.kill_group()

    name = urlsplit(stack.database.url).path[1:]
    administer(f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    restore(stack.database.url, dumped)
    stack.redis.flushall()
    stack.release()
    stack.manage("release")
    for program in programs:
        program.start()
    stack.wait_until_ready()

    requests = [*done, *in_flight, *waiting]
    assert stack.statuses([*requests, late]).keys() == set(requests)
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert_agreement(stack)
