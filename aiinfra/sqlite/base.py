"""Django's backend for SQLite, whose writers pass a fair gate (`aiinfra/sqlite/gate.py`).

A transaction enters the gate before `BEGIN IMMEDIATE` and leaves it when it has ended; a statement that writes outside
a transaction does so for itself. Reads outside a transaction never wait.
"""

import os
import sqlite3
from functools import lru_cache
from types import TracebackType
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property

from aiinfra import full_disk
from aiinfra.kept_cursor import KeepsCursor
from aiinfra.sqlite import idle
from aiinfra.sqlite.gate import Gate, gate_of

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER", "VACUUM", "REINDEX", "ANALYZE")
"""First keywords of statements that write. Others that write only bypass the gate and wait for SQLite's lock."""
KEYWORD_LENGTH_MAX = max(map(len, WRITES))


class Cursor(base.SQLiteCursorWrapper):
    """Passes the gate for each statement that writes outside a transaction."""

    gate: Gate | None = None
    timeout_s: float = 0

    def execute(self, query: str, params: Any = None) -> Any:
        """Raises sqlite3.OperationalError if the wait at the gate is too long, as for a locked database."""
        if self.gate is None or self.connection.in_transaction or not _writes(query):
            return super().execute(query, params)
        with self.gate.passed(self.timeout_s):
            return super().execute(query, params)

    def executemany(self, query: str, param_list: Any) -> Any:
        """As `execute`."""
        if self.gate is None or self.connection.in_transaction:
            return super().executemany(query, param_list)
        with self.gate.passed(self.timeout_s):
            return super().executemany(query, param_list)

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        """Django's, remembered: most statements are run again."""
        return _converted(query) if param_names is None else super().convert_query(query, param_names=param_names)


def _writes(query: str) -> bool:
    return query.lstrip()[:KEYWORD_LENGTH_MAX].upper().startswith(WRITES)


@lru_cache(1_000)
def _converted(query: str) -> str:
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


_real_path = lru_cache(os.path.realpath)


class _ErrorWrapper(DatabaseErrorWrapper):
    """Turns errors of SQLite into Django's. On a full disk they have several forms, and are noted."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.OperationalError) and full_disk.is_full():
            full_disk.note_refusal()
        super().__exit__(kind, error, traceback)


class DatabaseWrapper(KeepsCursor, base.DatabaseWrapper):
    """Django's, with the gate of its file. A database in memory has none."""

    _entered: Gate | None = None
    _origin: idle.Origin | None = None

    @cached_property
    def wrap_database_errors(self) -> _ErrorWrapper:
        """As in Django, with a full disk noted."""
        return _ErrorWrapper(self)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection that another thread has released, or a new one."""
        self._origin = idle.Origin.now(conn_params)
        kept = idle.take(self._origin) if self._origin else None
        return kept or super().get_new_connection(conn_params)

    def release(self) -> None:
        """Close it for this thread, and keep it open for the next one (`aiinfra/sqlite/idle.py`)."""
        connection = self.connection
        is_fit = connection is not None and not (connection.in_transaction or self.errors_occurred)
        if self._origin is None or not is_fit:
            self.close()
            return
        self.connection = None
        idle.keep(self._origin, connection)

    def create_cursor(self, name: str | None = None) -> Cursor:  # noqa: ARG002 - Django passes it
        """A cursor that uses the gate."""
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        cursor.gate, cursor.timeout_s = self._gate(), self._timeout_s
        return cursor

    def _start_transaction_under_autocommit(self) -> None:
        gate = self._gate()
        if gate:
            with self.wrap_database_errors:
                gate.enter(self._timeout_s)
            self._entered = gate
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._leave()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._leave()

    def _rollback(self) -> None:
        super()._rollback()  # type: ignore[misc]
        self._leave()

    def _close(self) -> None:
        try:
            super()._close()
        finally:
            self._leave()

    def _leave(self) -> None:
        gate, self._entered = self._entered, None
        if gate:
            gate.leave()

    def _gate(self) -> Gate | None:
        return None if self.is_in_memory_db() else gate_of(_real_path(self.settings_dict["NAME"]))

    @property
    def _timeout_s(self) -> float:
        """As long as SQLite waits for its lock; its default is 5 seconds."""
        return float(self.settings_dict["OPTIONS"].get("timeout", 5))
