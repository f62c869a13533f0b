"""The whole product as real processes on free ports, used over HTTP like a client would."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from redis import Redis, RedisError

from aiinfra.stack.bundled_redis import redis_binary, server_command, write_configuration
from tests.faults.databases import Database
from tests.faults.program import Program
from tests.support.forked import product_loaded, run
from tests.support.processes import START_LIMIT_S, answers, free_port, wait_until

MANAGE = [sys.executable, "manage.py"]
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"]
WHOLE_ANSWER = 500
"""More tokens than the sandbox's answers have. A truncated answer is not shared with other requests."""
LEASE_S = 8.0
CLIENT_TIMEOUT_S = 60
"""How long a client waits for an answer, even on a busy machine."""
TIMEOUT_MS = 60_000
"""No call times out unless a test wants it: held calls wait for the test, and the machine may be busy."""
HEAD_START_S = {"low": 0, "normal": 1, "high": 2, "critical": 4}
TIMES = ("dispatched_at", "finished_at", "deadline_at")
ENDED = frozenset({"completed", "failed", "cancelled"})
PROVIDER, MODEL = "deepseek", "deepseek-chat"
PROCESSES, SLOTS = 2, 8
PAST = "2020-01-01 00:00:00"

# Short intervals, so that leases and backoff can be tested quickly.
SETTINGS = {
    "QUEUE_LEASE_S": str(LEASE_S),
    "WORKER_PROCESSES": str(PROCESSES),
    "WORKER_THREADS": str(SLOTS // PROCESSES),
    "WORKER_NICE": "0",  # other tests run in parallel
    "WEB_PROCESSES": "1",
    "WEB_THREADS": "8",
    "DATABASE_POOL_SIZE": "6",
    "RETRY_BASE_S": "0.2",
    "RETRY_MAX_S": "1",
    "BREAKER_OPEN_S": "2",
    "LOG_LEVEL": "WARNING",
    "NOTIFICATION_TRUSTED_HOSTS": "127.0.0.1",
    **{f"QUEUE_HEAD_START_{name.upper()}_S": str(seconds) for name, seconds in HEAD_START_S.items()},
    **dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY", "AIINFRA_COMPATIBLE_PROVIDERS"), ""),
}

ADD_ORGANIZATION = """
from django.core.management import call_command
call_command("createorg", "{0}")
call_command("createapikey", "{0}", "--name", "faults", "--role", "owner")
"""


class Stack:
    """Redis with an append-only file, sandbox provider, database, workers, scheduler, and web server."""

    def __init__(self, directory: Path, database: Database, **settings: str) -> None:
        self.database = database
        self.directory = directory
        redis_port, sandbox_port, web_port = free_port(), free_port(), free_port()
        self.url, self.sandbox_url = f"http://127.0.0.1:{web_port}", f"http://127.0.0.1:{sandbox_port}"
        self.redis = Redis(port=redis_port, decode_responses=True, socket_timeout=CLIENT_TIMEOUT_S)
        self.env = {
            **SETTINGS,
            **settings,
            "AIINFRA_DATA_DIR": str(directory),
            "DATABASE_URL": database.url,
            "PORT": str(web_port),
            "WEB_LAME_DUCK_S": "0",
            "WEB_DRAIN_S": "10",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "SANDBOX_URL": self.sandbox_url,
            "SANDBOX_BOOK": str(directory / "book.jsonl"),
        }
        write_configuration(redis_port, directory / "redis")
        self.redis_server = self._program("redis", server_command(redis_binary(), directory / "redis"))
        sandbox = [sys.executable, "-m", "aiinfra.providers.sandbox", "--port", str(sandbox_port)]
        self.sandbox = self._program("sandbox", sandbox)
        self.workers = self._program("workers", [*MANAGE, "worker"])
        self.scheduler = self._program("scheduler", [*MANAGE, "scheduler"])
        self.web = self._program("web", GUNICORN)
        self.programs = [self.redis_server, self.sandbox, self.workers, self.scheduler, self.web]
        self.http = httpx2.Client(
            trust_env=False, timeout=CLIENT_TIMEOUT_S, limits=httpx2.Limits(max_keepalive_connections=0)
        )
        self.keys: dict[str, str] = {}
        self._loaded = ExitStack()

    def _program(self, name: str, argv: Sequence[str]) -> Program:
        return Program(name, argv, self.env, self.directory / f"{name}.log")

    def prepare(self) -> None:
        """Set up the database, Redis, the sandbox, and the organization `north`."""
        self._loaded.enter_context(product_loaded({**os.environ, **self.env}))
        with self.database.migrating():
            self.manage("migrate", "--skip-checks", "--verbosity", "0")
        for statement in self.database.witness:
            self.database.rows(statement)
        self.redis_server.start()
        self.sandbox.start()
        self.add_organization("north")

    def add_organization(self, slug: str) -> None:
        """Create an organization and an owner's API key."""
        if slug not in self.keys:
            self.keys[slug] = self.manage("shell", "--no-imports", "-c", ADD_ORGANIZATION.format(slug)).split()[-1]

    def manage(self, *arguments: str) -> str:
        """Run a management command. Returns its output."""
        return run([*MANAGE, *arguments], {**os.environ, **self.env}, check=True).stdout

    def revive(self) -> None:
        """Restart what is not running, resume stopped processes, cancel leftover requests, and reset the sandbox."""
        for program in self.programs:
            if program.is_running():
                for process in program.group():
                    process.send_signal(signal.SIGCONT)
            else:
                program.kill_group()
                program.start()
        self.wait_until_ready()
        self.behave()
        self.redis.delete("aiinfra:breaker:states")
        live = self.database.rows("SELECT id FROM queue_app_airequest WHERE status IN ('pending', 'processing')")
        for (request_id,) in live:
            self.post({"action": "cancel", "requestId": text(request_id)})

    def wait_until_ready(self) -> None:
        """Wait until every server responds and the workers send heartbeats."""
        wait_until(self.redis_answers, "Redis")
        wait_until(lambda: answers(f"{self.sandbox_url}/"), "the sandbox")
        wait_until(lambda: answers(f"{self.url}/healthz"), "the web server")
        wait_until(lambda: len(self.workers.children()) == PROCESSES, "the workers")
        wait_until(
            lambda: set(self.worker_pids().values()) >= {p.pid for p in self.workers.children()}, "their heartbeats"
        )

    def redis_answers(self) -> bool:
        """Whether Redis is up and has loaded its data."""
        try:
            return bool(self.redis.ping())
        except RedisError:
            return False

    def shut_down(self) -> None:
        """Kill all processes."""
        for program in reversed(self.programs):
            program.kill_group()
        self._loaded.close()
        self.http.close()

    @contextmanager
    def workers_restarted(self, **env: str) -> Iterator[None]:
        """Runs workers with other settings during the block."""
        self.workers.stop()
        self.workers.start(**env)
        try:
            yield
        finally:
            self.workers.stop()

    def freeze(self, pid: int) -> None:
        """Stop a process with SIGSTOP, but not during a write: its lock would block all other processes."""
        while True:
            os.kill(pid, signal.SIGSTOP)
            if self.database.can_write():
                return
            os.kill(pid, signal.SIGCONT)

    # Clients

    def post(self, body: dict[str, Any], *, organization: str = "north", **headers: str) -> httpx2.Response:
        """POST to the queue with the organization's key."""
        headers = {"Authorization": f"Bearer {self.keys[organization]}", **headers}
        return self.http.post(f"{self.url}/api/ai/queue", json=body, headers=headers)

    def enqueue(self, text: str = "How do I plan a garden?", *, organization: str = "north", **options: Any) -> str:
        """Enqueue a request. Returns its ID."""
        answer = self.post(order(text, **options), organization=organization)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["requestId"])

    def ask(self, text: str) -> str:
        """Send a request through the chat endpoint, which checks the cache first. Returns its ID."""
        headers = {"Authorization": f"Bearer {self.keys['north']}"}
        answer = self.http.post(f"{self.url}/api/ai/chat", json=order(text, maxTokens=WHOLE_ANSWER), headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["requestId"])

    def is_cached(self, text: str) -> bool:
        """Whether the chat endpoint answers from the cache."""
        headers = {"Authorization": f"Bearer {self.keys['north']}"}
        body = order(text, maxTokens=WHOLE_ANSWER)
        answer = self.http.post(f"{self.url}/api/ai/chat", json=body, headers=headers)
        return bool(answer.raise_for_status().json()["cached"])

    def status(self, request_id: str) -> dict[str, Any]:
        """The API's status of a request."""
        headers = {"Authorization": f"Bearer {self.keys['north']}"}
        query = {"action": "status", "requestId": request_id}
        return self.http.get(f"{self.url}/api/ai/queue", params=query, headers=headers).raise_for_status().json()  # type: ignore[no-any-return]

    # The sandbox provider

    def behave(self, **behaviour: Any) -> None:
        """Set the sandbox's behavior for the following calls."""
        self.http.post(f"{self.sandbox_url}/sandbox/behaviour", json=behaviour).raise_for_status()

    def hold(self, **which: Any) -> None:
        """Hold the following calls, or those matching `which`, until `release`, `release_call`, or `behave`."""
        self.behave(faults=[{"kind": "hold", **which}])

    def release(self) -> None:
        """Answer all held calls, and the following ones immediately."""
        self.behave()

    def release_call(self, attempt_id: str) -> None:
        """Answer one held call."""
        self.http.post(f"{self.sandbox_url}/sandbox/calls/{attempt_id}/release").raise_for_status()

    def book(self) -> list[dict[str, Any]]:
        """All calls that the sandbox billed."""
        return self.http.get(f"{self.sandbox_url}/sandbox/book").raise_for_status().json()  # type: ignore[no-any-return]

    def calls_in_flight(self, request_ids: Iterable[str]) -> list[str]:
        """The requests whose latest call the sandbox is working on."""
        rows = self.database.rows("SELECT request_id, id FROM cost_app_attempt WHERE state = 'dispatched'")
        sent = {text(request): text(attempt) for request, attempt in rows}
        return [request for request in set(request_ids) & sent.keys() if self.call_state(sent[request]) == "running"]

    def open_circuits(self) -> list[str]:
        """`provider/model` of every circuit that is not closed, from the health endpoint."""
        headers = {"Authorization": f"Bearer {self.keys['north']}"}
        health = self.http.get(f"{self.url}/api/ai/health", headers=headers).raise_for_status().json()
        return [
            f"{provider['name']}/{circuit['model']}"
            for provider in health["providers"]
            for circuit in provider["breakers"]
            if circuit["state"] != "closed"
        ]

    def call_state(self, attempt_id: str) -> str:
        """billed, running, or unknown."""
        return str(self.http.get(f"{self.sandbox_url}/sandbox/calls/{attempt_id}").json()["state"])

    # Rows

    def statuses(self, request_ids: Iterable[str]) -> dict[str, str]:
        """Request ID -> status."""
        wanted = set(request_ids)
        rows = self.database.rows("SELECT id, status FROM queue_app_airequest")
        return {text(row_id): status for row_id, status in rows if text(row_id) in wanted}

    def attempts(self, request_id: str) -> list[dict[str, Any]]:
        """A request's attempts, in order."""
        columns = [
            "id",
            "provider",
            "model",
            "state",
            "error_code",
            "cost_nano",
            "dispatched_at",
            "finished_at",
            "deadline_at",
        ]
        # Calls for embeddings have no request.
        rows = self.database.rows(
            f"SELECT request_id, {', '.join(columns)} FROM cost_app_attempt "  # noqa: S608 - constants
            "WHERE request_id IS NOT NULL ORDER BY number"
        )
        mine = [dict(zip(columns, row[1:], strict=True)) for row in rows if text(row[0]) == request_id]
        return [{**attempt, "id": text(attempt["id"])} for attempt in mine]

    def requests_of_attempts(self, condition: str) -> list[str]:
        """The requests of the matching attempts, one per attempt, except those of embeddings."""
        of_requests = f"FROM cost_app_attempt WHERE request_id IS NOT NULL AND {condition}"
        return [text(request) for (request,) in self.database.rows(f"SELECT request_id {of_requests}")]

    def bring_deadlines_forward(self) -> None:
        """Make the sweeper check the calls of ended requests now instead of after their timeouts."""
        self.database.rows(
            f"UPDATE cost_app_attempt SET deadline_at = '{PAST}'"  # noqa: S608 - a constant
            f" WHERE state IN ('dispatched', 'estimated') AND deadline_at > '{PAST}' AND request_id IN"
            " (SELECT id FROM queue_app_airequest WHERE status IN ('completed', 'failed', 'cancelled'))"
        )

    def worker_of(self, request_id: str) -> int:
        """The PID of the worker process that claimed a request."""
        return self.worker_pids()[self.column(request_id, "worker")]

    def column(self, request_id: str, name: str) -> Any:
        """A column of a request's row."""
        rows = self.database.rows(f"SELECT id, {name} FROM queue_app_airequest")  # noqa: S608 - a constant
        return next(value for row_id, value in rows if text(row_id) == request_id)

    def worker_pids(self) -> dict[str, int]:
        """Worker name -> PID, from the heartbeats."""
        return {name: beat["pid"] for name, beat in self._beats().items()}

    def _beats(self) -> dict[str, dict[str, Any]]:
        return {name: json.loads(beat) for name, beat in self.redis.hgetall("{aiq}:workers").items()}

    def wait_until_draining(self) -> None:
        """Wait until every worker reports that it is draining."""

        def all_drain() -> bool:
            alive = {process.pid for process in self.workers.group()}
            draining = [beat["stopping"] for beat in self._beats().values() if beat["pid"] in alive]
            return len(draining) == PROCESSES and all(draining)

        wait_until(all_drain, "the workers to drain")

    def held_backlog(self, count: int, **options: Any) -> tuple[list[str], list[str]]:
        """Enqueue `count` requests: calls in all slots are held, and the other requests wait."""
        self.hold()
        requests = [self.enqueue(f"Question {number}", **options) for number in range(count)]
        in_flight = self.wait_until_in_flight(requests, SLOTS)
        assert len(in_flight) == SLOTS
        waiting = [request for request in requests if request not in in_flight]
        assert set(self.statuses(waiting).values()) <= {"pending"}
        return in_flight, waiting

    def wait_until_in_flight(self, request_ids: Sequence[str], count: int) -> list[str]:
        """Wait until the sandbox works on at least `count` of the requests. Returns these."""
        found: list[str] = []

        def enough() -> bool:
            found[:] = self.calls_in_flight(request_ids)
            return len(found) >= count

        wait_until(enough, f"{count} calls in flight")
        return found

    def wait_until_ended(self, request_ids: Sequence[str], limit_s: float = START_LIMIT_S) -> dict[str, str]:
        """Wait until every request has ended. Returns the statuses."""
        wait_until(self._all_ended(request_ids), f"{len(request_ids)} requests to end", limit_s)
        return self.statuses(request_ids)

    def _all_ended(self, request_ids: Sequence[str]) -> Callable[[], bool]:
        def all_ended() -> bool:
            statuses = self.statuses(request_ids)
            return len(statuses) == len(set(request_ids)) and set(statuses.values()) <= ENDED

        return all_ended


def order(text: str, **options: Any) -> dict[str, Any]:
    """The body of a POST to the queue."""
    body = {"provider": PROVIDER, "model": MODEL, "maxTokens": 100, "timeout": TIMEOUT_MS}
    return {**body, "messages": [{"role": "user", "content": text}], **options}


def text(row_id: object) -> str:
    """An ID as the API writes it: SQLite returns 32 digits, PostgreSQL a UUID."""
    return str(UUID(str(row_id)))


def seconds(moment: Any) -> float:
    """The Unix time of a column: SQLite returns text in UTC, PostgreSQL a datetime."""
    value = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return float(value.replace(tzinfo=value.tzinfo or UTC).timestamp())
