"""The product connects to Redis over TLS, as an ACL user with only the documented permissions."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiinfra.stack.bundled_redis import redis_binary, server_command
from tests.faults.audit import assert_sound
from tests.faults.databases import fresh_postgres, postgres_template
from tests.faults.program import Program
from tests.faults.stack import MANAGE, SLOTS, Stack
from tests.hosts.certificates import write_certificate
from tests.support.forked import run
from tests.support.processes import ROOT, free_port

PASSWORD = "a-password-of-the-test"


def documented_rules() -> list[str]:
    """The rules after the user name in docs/running.md."""
    (rules,) = re.findall(r"^ACL SETUSER aiinfra (.*)$", (ROOT / "docs/running.md").read_text(), re.MULTILINE)
    return str(rules).replace("PASSWORD", PASSWORD).split()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis has a TLS port for the product, with a login, and a plain port for the test."""
    directory: Path = tmp_path_factory.mktemp("tls")
    certificate, key = write_certificate(directory)
    port = free_port()
    tls = f"--tls-port {port} --tls-cert-file {certificate} --tls-key-file {key} --tls-ca-cert-file {certificate}"
    with fresh_postgres(postgres_template()) as database:
        running = Stack(directory, database)
        command = [*server_command(redis_binary(), directory / "redis"), *tls.split(), "--tls-auth-clients", "no"]
        running.programs.remove(running.redis_server)
        running.redis_server = Program("redis", command, {}, directory / "redis.log")
        running.programs.insert(0, running.redis_server)
        url = f"rediss://aiinfra:{PASSWORD}@127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
        for env in (running.env, *(program.env for program in running.programs)):
            env["REDIS_URL"] = url
        try:
            running.prepare()
            running.redis.execute_command("ACL", "SETUSER", "default", "on", "nopass", "~*", "&*", "+@all")
            running.redis.execute_command("ACL", "SETUSER", "aiinfra", *documented_rules())
            running.redis.execute_command("ACL", "LOG", "RESET")  # discard denials from before the user was created
            running.revive()
            yield running
        finally:
            running.shut_down()


def test_documented_permissions_are_sufficient(stack: Stack) -> None:
    in_flight, waiting = stack.held_backlog(SLOTS + 5)
    stack.post({"action": "cancel", "requestId": waiting.pop()})
    answers = [stack.ask(f"Is this cached {number}?") for number in (1, 2, 2)]
    stack.release()
    assert set(assert_sound(stack, [*in_flight, *waiting, *answers]).values()) == {"completed"}
    assert stack.is_cached("Is this cached 1?")
    doctor = run([*MANAGE, "doctor"], {**os.environ, **stack.env})
    assert "Redis evicts nothing" in doctor.stdout, doctor.stderr
    assert stack.redis.execute_command("ACL", "LOG") == []
