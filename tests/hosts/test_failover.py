"""PostgreSQL failover: the standby is promoted, and the old primary, listed first, returns as a standby."""

from collections.abc import Iterator

import pytest

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack
from tests.hosts.clusters import Pair, Server
from tests.hosts.load import Load
from tests.support.processes import answers, wait_until


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    """A primary and its standby."""
    first, second = Server(), Server()
    try:
        first.create()
        second.follow(first)
        yield first, second
    finally:
        first.remove()
        second.remove()


@pytest.fixture(scope="module")
def stack(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("product"), Pair(*servers))
    try:
        running.prepare()
        running.revive()
        yield running
    finally:
        running.shut_down()


def test_new_primary_is_found_and_no_standby_is_used(stack: Stack, servers: tuple[Server, Server]) -> None:
    first, second = servers

    def is_ready() -> bool:
        return answers(f"{stack.url}/readyz")

    with Load(stack, stack.url, pause_s=0.3) as load:
        load.wait_for_more(2)
        first.stop()
        wait_until(lambda: not is_ready(), "the outage to be noticed")
        second.promote()
        wait_until(is_ready, "readiness on the new primary")
        load.wait_for_more(2)
        first.follow(second)
        end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        second.execute(f"{end_all} AND pid <> pg_backend_pid()")
        wait_until(is_ready, "readiness after all connections ended")
        load.wait_for_more(2)
    assert not [each for each in load.failures if " 500 " in each], load.failures
    second.stop()
    assert not any(is_ready() for _ in range(3))
    second.start()
    wait_until(is_ready, "readiness after the primary is back")
    assert set(assert_sound(stack, load.accepted).values()) == {"completed"}
