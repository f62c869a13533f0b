"""Counts database statements and Redis round trips of a block of code, which don't depend on the machine's load."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from redis.connection import AbstractConnection as RedisConnection

from aiinfra import timed_cache
from aiinfra.providers.adapters import parameters
from cache_app.embedding import vector_cache

WRITES = ("INSERT", "UPDATE", "DELETE")
TRANSACTION = ("BEGIN", "SAVEPOINT", "RELEASE")


@dataclass
class Costs:
    """SQL statements, commits (including those of writes outside a transaction), and round trips to Redis."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0
    round_trips: int = 0

    @property
    def counts(self) -> tuple[int, int, int]:
        """Statements, commits, and round trips."""
        return len(self.statements), self.commits, self.round_trips

    def note_statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """A wrapper for `connection.execute_wrapper`."""
        if not sql.startswith(TRANSACTION):
            self.statements.append(sql)
            self.commits += sql.startswith(WRITES) and not connection.in_atomic_block
        return execute(sql, params, many, context)


COUNTING = frozenset({"counted_costs", "CaptureQueriesContext", "django_assert_num_queries"})
"""Names that show that a test counts costs: a fixture of the test or a name in its module."""


@pytest.fixture(autouse=True)
def no_cache_expiry_while_costs_are_counted(request: pytest.FixtureRequest) -> None:
    """Keep in-process caches from expiring between two counts, which would make them differ."""
    if not COUNTING.isdisjoint([*request.fixturenames, *vars(request.module)]):
        freeze_cache_clocks(request.getfixturevalue("monkeypatch"))


def freeze_cache_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of in-process caches and of the embedder, so that a busy machine does not change counts."""
    now = time.monotonic()
    for module in (timed_cache, parameters, vector_cache):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))


@contextmanager
def counted_costs() -> Iterator[Costs]:
    """Count the costs of this thread in the block, except for opening connections to Redis."""
    costs, thread, opening = Costs(), threading.get_ident(), set[int]()
    commit, send = connection._commit, RedisConnection.send_packed_command
    greet = RedisConnection.on_connect_check_health

    def counted_commit() -> None:
        costs.commits += 1
        commit()

    def counted_send(self: RedisConnection, *arguments: Any, **named: Any) -> None:
        costs.round_trips += threading.get_ident() == thread and id(self) not in opening
        send(self, *arguments, **named)

    def uncounted_greeting(self: RedisConnection, **named: Any) -> None:
        opening.add(id(self))
        greet(self, **named)
        opening.discard(id(self))

    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(costs.note_statement):
        patch.setattr(connection, "_commit", counted_commit)
        patch.setattr(RedisConnection, "send_packed_command", counted_send)
        patch.setattr(RedisConnection, "on_connect_check_health", uncounted_greeting)
        yield costs
