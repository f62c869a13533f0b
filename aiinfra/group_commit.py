"""Group commit: transactions that wait for SQLite's write lock at the same time are committed together.

A commit waits for the disk (2 to 6 ms), and only one transaction can write at a time. The first thread to arrive opens
a group and waits at the gate (`aiinfra/sqlite`). Threads that arrive before it is through join its group; it runs their
work in its transaction, each in its own savepoint, and commits once. A group never waits for more members.

PostgreSQL groups commits itself and locks rows, so each piece of work has its own transaction there.
"""

import os
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections, transaction

Result = TypeVar("Result")
MEMBERS_MAX = 16
"""Limits how long the first member of a group waits for the last."""


def grouped(work: Callable[[], Result]) -> Result:
    """Run `work` in a transaction and return its result after the COMMIT, or raise its exception after the rollback.

    It may share the transaction, and run in another thread, with that thread's database connection and this thread's
    context (such as the organization in scope). An exception rolls back this work alone; a COMMIT that fails raises in
    all threads of the group. `on_commit` callbacks run in this thread. `work` should change rows and do nothing else:
    others wait for it. Inside a transaction, it joins that transaction. Raises OperationalError if the database is
    locked for too long.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic():
            return work()
    member = _Member(work)
    group = _join(member)
    if group.leader is member:
        group.run()
    else:
        group.ended.wait()
    return member.outcome()


class _Member(Generic[Result]):
    """One thread's work and its outcome."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._context: Context = copy_context()
        self._callbacks: list[Any] = []
        self._result: Result | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do the work in the current transaction."""
        connection = connections[DEFAULT_DB_ALIAS]
        registered = len(connection.run_on_commit)
        self._result = self._context.run(self._work)
        self._callbacks = connection.run_on_commit[registered:]
        del connection.run_on_commit[registered:]

    def run_in_savepoint(self) -> None:
        """Do the work in a savepoint, and keep its exception. Raises if only the whole group can be rolled back."""
        try:
            with transaction.atomic():
                self.run()
        except Exception as error:
            self.error = error
        if connections[DEFAULT_DB_ALIAS].needs_rollback:
            raise OperationalError("the database has rolled back the whole transaction") from self.error

    def outcome(self) -> Result:
        """The result after the commit, once the callbacks have run; in the member's thread."""
        if self.error:
            raise self.error
        if self._callbacks:
            connection = connections[DEFAULT_DB_ALIAS]
            connection.run_on_commit += self._callbacks
            connection.run_and_clear_commit_hooks()
        return cast(Result, self._result)


class _Group:
    """Work that is committed together."""

    def __init__(self, leader: _Member[Any]) -> None:
        self.leader = leader
        self.members = [leader]
        self.ended = threading.Event()

    def run(self) -> None:
        """Run every member's work and commit, in the leader's thread. Afterwards each member has its outcome."""
        try:
            with transaction.atomic():
                _close(self)
                self._run_members()
        except BaseException as error:
            _close(self)
            self._fail(error)
        finally:
            self.ended.set()

    def _run_members(self) -> None:
        if len(self.members) == 1:
            self.leader.run()
            return
        for member in self.members:
            member.run_in_savepoint()

    def _fail(self, error: BaseException) -> None:
        """Record that nothing was committed. Each thread gets its own copy of the exception."""
        for member in self.members:
            if member is self.leader:
                member.error = error
            elif member.error is None:
                member.error = _copy(error)


def _copy(error: BaseException) -> BaseException:
    copy = (
        type(error)(*error.args) if isinstance(error, DatabaseError) else OperationalError("the commit was interrupted")
    )
    copy.__cause__ = error
    return copy


_guard = threading.Lock()
_open: _Group | None = None
"""The group whose leader waits at the gate."""


def _after_fork() -> None:
    """Drop the open group: its leader is a thread of the parent process."""
    global _guard, _open
    _guard, _open = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)


def _join(member: _Member[Any]) -> _Group:
    global _open
    with _guard:
        if _open and len(_open.members) < MEMBERS_MAX:
            _open.members.append(member)
        else:
            _open = _Group(member)
        return _open


def _close(group: _Group) -> None:
    global _open
    with _guard:
        if _open is group:
            _open = None
