"""Redis with Sentinels: when the primary dies and the replica is promoted, all accepted requests complete."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django_rq.connection_utils import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError, Sentinel

from aiinfra.configuration.sentinels import rq_address
from aiinfra.stack.bundled_redis import redis_binary
from tests.faults.audit import assert_sound
from tests.faults.program import Program
from tests.faults.stack import CLIENT_TIMEOUT_S, MANAGE, SLOTS, Stack
from tests.support.forked import run
from tests.support.processes import free_port, wait_until

SERVICE = "main"
BETWEEN_REQUESTS_S = 0.2
CONFIGURATION = """\
port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor {service} 127.0.0.1 {redis} 2
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 5000
"""


class SentinelCluster:
    """A replica of the stack's Redis, and three Sentinels that monitor both."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        primary = int(stack.redis.connection_pool.connection_kwargs["port"])
        self._ports = [free_port() for _ in range(3)]
        self.replica_port = free_port()
        replica = f"--port {self.replica_port} --bind 127.0.0.1 --dir {directory} --replicaof 127.0.0.1 {primary}"
        self.programs = [Program("replica", [redis_binary(), *replica.split()], {}, directory / "replica.log")]
        for port in self._ports:
            file = directory / f"sentinel-{port}.conf"
            file.write_text(
                CONFIGURATION.format(port=port, directory=directory, service=SERVICE, redis=primary), encoding="utf-8"
            )
            log = directory / f"sentinel-{port}.log"
            self.programs.append(Program("sentinel", [redis_binary(), str(file), "--sentinel"], {}, log))
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self._ports)}/{SERVICE}"

    def start(self) -> None:
        """Start the programs, and wait until every Sentinel knows the replica and the other Sentinels."""
        for program in self.programs:
            program.start()
        for port in self._ports:
            wait_until(lambda port=port: self._knows_all(port), "the Sentinels")  # type: ignore[misc]

    def _knows_all(self, port: int) -> bool:
        try:
            state = Redis(port=port, decode_responses=True).sentinel_masters()[SERVICE]
        except (RedisError, KeyError):
            return False
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)

    def primary_port(self) -> int:
        """The port of the current primary, or 0 while there is none."""
        with suppress(MasterNotFoundError):
            return int(self._sentinel().discover_master(SERVICE)[1])
        return 0

    def client(self) -> Redis:
        """A client of the current primary."""
        return self._sentinel().master_for(SERVICE, decode_responses=True, socket_timeout=CLIENT_TIMEOUT_S)

    def _sentinel(self) -> Sentinel:
        return Sentinel([("127.0.0.1", port) for port in self._ports])


@pytest.fixture(scope="module")
def cluster(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelCluster]:
    """Lets the product find its Redis through Sentinels."""
    running = SentinelCluster(stack, tmp_path_factory.mktemp("sentinels"))
    try:
        running.start()
        for program in stack.programs:
            program.env["REDIS_URL"] = running.url
        stack.env["REDIS_URL"] = running.url
        stack.redis = running.client()
        stack.revive()
        yield running
    finally:
        for program in running.programs:
            program.kill_group()


def test_doctor_and_rq_pages_find_redis(stack: Stack, cluster: SentinelCluster) -> None:
    doctor = run([*MANAGE, "doctor"], {**os.environ, **stack.env})
    assert "Redis evicts nothing" in doctor.stdout, doctor.stderr
    assert get_redis_connection(rq_address(cluster.url)).ping()


def test_requests_accepted_during_a_failover_complete(stack: Stack, cluster: SentinelCluster) -> None:
    in_flight, waiting = stack.held_backlog(SLOTS + 5)
    before = cluster.primary_port()
    accepted: list[str] = []
    over = threading.Event()

    def send() -> None:
        while not over.wait(BETWEEN_REQUESTS_S):
            accepted.append(stack.enqueue(f"Question {len(accepted)}"))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        wait_until(lambda: len(accepted) > 2, "requests before the failover")
        stack.redis_server.kill_group()
        wait_until(lambda: cluster.primary_port() not in {0, before}, "the replica to be promoted")
        during = len(accepted)
        wait_until(lambda: len(accepted) > during + 2, "requests after the failover")
    finally:
        over.set()
        sender.join()
    stack.release()
    statuses = assert_sound(stack, [*in_flight, *waiting, *accepted])
    assert set(statuses.values()) == {"completed"}
    assert cluster.primary_port() == cluster.replica_port
