"""Every key that a Lua script uses is in the hash slot of its declared keys, as Redis Cluster requires."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from threading import Thread
from uuid import UUID

import pytest
from pydantic import BaseModel
from redis.client import Monitor
from redis.crc import key_slot
from redis.exceptions import ResponseError

from aiinfra import live_events, rate_limits
from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from aiinfra.tenants.login import attempts
from aiinfra.tenants.security_log import repeats
from cache_app.store import scripts as cache
from queue_app.models import AIRequest, QueuePolicy
from queue_app.ordering import index, standby, tickets, turns
from queue_app.ordering.index import IndexEntry
from tests.support.processes import ROOT

LAST = "all-scripts-have-run"
FAR_MS = 4_000_000_000_000
MODEL = "deepseek/deepseek-chat"
Words = list[str]


class NoData(BaseModel):
    """Empty event data."""


class Watch:
    """Records every script that the server runs, with its commands."""

    def __init__(self) -> None:
        self.runs: list[tuple[Words, list[Words]]] = []
        self._monitor = Monitor(redis_client().connection_pool)
        self._thread = Thread(target=self._listen)

    def __enter__(self) -> "Watch":
        self._monitor.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        redis_client().echo(LAST)
        self._thread.join()
        self._monitor.__exit__()

    def _listen(self) -> None:
        while (monitored := self._monitor.next_command()) and LAST not in monitored["command"]:
            words = monitored["command"].split(" ")
            if monitored["client_type"] == "lua":
                self.runs[-1][1].append(words)
            elif words[0] == "EVALSHA":
                self.runs.append((words, []))


def declared(run: Words) -> list[str]:
    """The declared keys of `EVALSHA digest numkeys key...`."""
    return run[3 : 3 + int(run[2])]


def touched(command: Words) -> list[str]:
    """The keys of a command, according to the server."""
    try:
        return list(redis_client().execute_command("COMMAND GETKEYS", *command))
    except ResponseError:  # the command has no keys
        return []


def slots(keys: Iterable[str]) -> set[int]:
    return {key_slot(key.encode()) for key in keys}


def request_of(number: int, **columns: object) -> AIRequest:
    at = datetime.now(UTC)
    columns = {"provider": "deepseek", "model": "deepseek-chat", "created_at": at, "not_before": at, **columns}
    return AIRequest(id=UUID(int=number), organization_id=1, **columns)


def run_the_queue() -> None:
    first, second, later = request_of(1), request_of(2), request_of(3, not_before=datetime(2999, 1, 1, tzinfo=UTC))
    index.set_policy(QueuePolicy(organization_id=1, paused_priorities=[1000]))
    index.run("set_limits", [MODEL, "1"])
    index.admit([first, second, later])
    entry = index.claim()
    assert entry
    assert index.claim() is None, "the limit is full"
    index.run("sent", [str(entry), MODEL, "attempt"])
    for name, arguments in (("limit_use", []), ("limited", [1]), ("set_limits", [MODEL, "5"])):
        index.run(name, arguments)
    index.run("record_calls", [MODEL, "another", 1.0])
    index.run("try_start", [str(IndexEntry.of(request_of(4))), MODEL, "1.0"])
    index.hold([IndexEntry.of(request_of(5))])
    index.promote()
    index.recount()
    index.remove(second)
    index.remove(later)
    index.release([entry])
    turns.handed_over(UUID(int=6))
    index.admit([request_of(6)])
    assert index.claim() is None, "it was already sent"
    assert turns.handed_over(UUID(int=6))
    redis_client().lpush(standby.STANDBY, "thread")
    tickets.push_ticket()


def run_the_cache() -> None:
    limits = [1, 1, 1, "tag"]
    for entry in ("a", "b"):  # the second evicts the first
        cache.run("put", 1, "incarnation", entry, "p", FAR_MS, "", "", *limits, "expires_ms", FAR_MS)
    for name, arguments in (
        ("add_vector", ["b", "v", ""]),
        ("block", ["b", "question", 1]),
        ("fetch", ["p", "b", ""]),
        ("pin", ["b", 1]),
        ("touch", ["b"]),
        ("mark_cleared", ["tag"]),
        ("sweep", ["tag", 5]),
        ("delete", ["b"]),
        ("remove_expired", [5]),
        ("retire", []),
    ):
        cache.run(name, 1, *arguments)


def run_the_others() -> None:
    live_events.publish(1, [live_events.Draft(live_events.EventType.QUEUE, "-", NoData())], if_changed=True)
    rate_limits.take([rate_limits.Rate("r", 5)], [rate_limits.Slots("s", 5)], "member", organization_id=1)
    attempts.begin("name", "10.0.0.1").succeed()
    repeats._script()(keys=[repeats.PREFIX], args=["event", "request", 5, "others", "bucket"], client=redis_client())
    breaker.all_closed().run()
    for call in (breaker.record_failure, breaker.release_probe, breaker.record_success):
        call("deepseek", "deepseek-chat")
    breaker.allow("deepseek", "deepseek-chat")


@pytest.mark.usefixtures("redis_url")
def test_scripts_use_only_the_slot_of_their_declared_keys() -> None:
    with Watch() as watch:
        run_the_queue()
        run_the_cache()
        run_the_others()
    assert {run[1] for run, _ in watch.runs} >= digests()
    for run, commands in watch.runs:
        home = slots(declared(run))
        assert len(home) == 1, f"the keys {declared(run)} are in different slots"
        for command in commands:
            assert slots(touched(command)) <= home, f"{command} leaves the slot of {declared(run)}"


def digests() -> set[str]:
    """The digests of all script files."""
    found = set()
    for path in ROOT.glob("*/**/lua/*.lua"):
        shared = path.with_name("_common.lua")
        if path != shared and ".venv" not in path.parts:
            text = (shared.read_text() if shared.exists() else "") + path.read_text()
            found.add(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    return found
