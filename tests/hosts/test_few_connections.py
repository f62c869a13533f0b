"""A PostgreSQL with few connections, alone and behind pgbouncer in transaction mode.

Behind pgbouncer, the product also runs with row-level security.
"""

import os
import shutil
import socket
from collections.abc import Iterator

import pytest

from tests.faults.audit import assert_sound
from tests.faults.databases import Postgres
from tests.faults.program import Program
from tests.faults.stack import MANAGE, Stack
from tests.hosts.clusters import AS_POSTGRES, DATABASE, Server
from tests.hosts.load import Load
from tests.support.forked import run
from tests.support.processes import free_port, wait_until

CONNECTIONS = 20
POOL = 8
CALLS = 60
BOUNCER = """\
[databases]
{database} = host=127.0.0.1 port={server} user={role}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
max_client_conn = 200
logfile = {directory}/pgbouncer.log
"""


ROLE = "aiinfra"
RESERVED = 3
"""For the test itself, which is a superuser."""
ITERATORS = 6
ITERATE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest
together = Barrier({count})
def read(_):
    with system_scope():
        rows = AIRequest.objects.order_by("created_at").iterator(chunk_size=5)
        first = next(rows)
        together.wait()
        return 1 + sum(row.created_at >= first.created_at for row in rows)
with ThreadPoolExecutor({count}) as threads:
    print(*threads.map(read, range({count})))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server(max_connections=str(CONNECTIONS + RESERVED), superuser_reserved_connections=str(RESERVED))
    try:
        running.create()
        running.execute(f"CREATE ROLE {ROLE} LOGIN")
        for kind in ("TABLES", "SEQUENCES"):
            running.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {ROLE}")
            running.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {kind} TO {ROLE}")
        yield running
    finally:
        running.remove()


@pytest.fixture(scope="module")
def stack(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Five processes whose pools are larger than the server's connection limit."""
    size = {"DATABASE_POOL_SIZE": str(POOL), "WEB_PROCESSES": "2"}
    size["DATABASE_URL"] = server.url.replace("postgres@", f"{ROLE}@")
    running = Stack(tmp_path_factory.mktemp("product"), Postgres(server.url, None))
    for env in (running.env, *(program.env for program in running.programs)):
        env.update(size)
    try:
        running.prepare()
        running.revive()
        yield running
    finally:
        running.shut_down()


@pytest.fixture
def bouncer(stack: Stack, server: Server) -> Iterator[None]:
    """Connects the product through pgbouncer, with a role that is subject to row-level security."""
    binary = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if binary is None:
        pytest.fail("this test needs pgbouncer: apt-get install pgbouncer")
    directory, port = server.directory, free_port()
    file = directory / "pgbouncer.ini"
    file.write_text(BOUNCER.format(database=DATABASE, role=ROLE, server=server.port, port=port, directory=directory))
    file.chmod(0o644)
    program = Program("pgbouncer", [*AS_POSTGRES, binary, str(file)], {}, directory / "bouncer.log")
    program.start()
    wait_until(lambda: accepts_connections(port), "pgbouncer")
    ours = [stack.web, stack.workers, stack.scheduler]
    through = {"DATABASE_URL": f"postgres://{ROLE}@127.0.0.1:{port}/{DATABASE}", "DATABASE_TRANSACTION_POOLING": "1"}
    through["DATABASE_ROW_SECURITY"] = "1"
    try:
        for each in ours:
            each.kill_group()
        stack.env["DATABASE_URL"] = server.url
        stack.manage("row_security", "on", "--role", ROLE)
        stack.env.update(through)
        for each in ours:
            each.env.update(through)
            each.start()
        stack.wait_until_ready()
        yield
    finally:
        program.kill_group()


def accepts_connections(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def test_pools_larger_than_the_connection_limit_only_wait(stack: Stack) -> None:
    work(stack)


@pytest.mark.usefixtures("bouncer")
def test_pgbouncer_assigns_a_server_per_transaction(stack: Stack) -> None:
    work(stack)
    ((count,),) = stack.database.rows("SELECT COUNT(*) FROM queue_app_airequest")
    script = ITERATE.format(count=ITERATORS)
    assert stack.manage("shell", "--no-imports", "-c", script).split() == [str(count)] * ITERATORS
    found = run([*MANAGE, "doctor"], {**os.environ, **stack.env})
    assert "Row-level security is on" in found.stdout, found.stderr


def work(stack: Stack) -> None:
    """Send a burst of requests while other clients continue."""
    with Load(stack, stack.url, pause_s=0.3) as load:
        burst = [stack.enqueue(f"Question {number}") for number in range(CALLS)]
        load.wait_for_more(3)
    assert load.failures == []
    assert set(assert_sound(stack, [*burst, *load.accepted]).values()) == {"completed"}
