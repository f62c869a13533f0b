"""Django's backend for PostgreSQL, for servers that fail over, and for row-level security.

A server that became read-only is treated as unreachable: the error can be retried, and the connection is closed, so
that the next one finds the new primary. A full disk is noted. The time that threads wait for a connection is recorded.

With `ROW_SECURITY`, each statement about rows begins with the scope of the running code (`aiinfra.tenants.scope`). Both
are sent as one message: this takes no round trip, and is right behind a proxy that gives each transaction a server.
"""

import time
from types import TracebackType
from typing import Any

from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper, OperationalError
from django.utils.functional import cached_property
from psycopg import ClientCursor
from psycopg.errors import DiskFull, ReadOnlySqlTransaction

from aiinfra import full_disk
from aiinfra.kept_cursor import KeepsCursor
from aiinfra.metrics import recorded
from aiinfra.tenants.scope import VARIABLE, scope_in_force

ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
KEYWORD_LENGTH_MAX = max(map(len, ROWS))


class _ErrorWrapper(DatabaseErrorWrapper):
    """Turns errors of psycopg into Django's."""

    wrapper: Any

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, DiskFull):
            full_disk.note_refusal()
        if not isinstance(error, ReadOnlySqlTransaction):
            super().__exit__(kind, error, traceback)
            return
        self.wrapper.errors_occurred = True
        if self.wrapper.connection is not None:
            self.wrapper.connection.close()
        raise OperationalError(*error.args).with_traceback(traceback) from error


class ScopedCursor(ClientCursor[Any]):
    """Names the rows that a statement may see; `aiinfra.tenants.row_security` has the policies that read it."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Only statements about rows have a scope: after an error, nothing may come before a ROLLBACK."""
        if not _is_about_rows(query):
            return super().execute(query, params, **options)
        super().execute(f"{_scope()}; {query}", params, **options)
        self.nextset()
        return self

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> Any:
        """Only in a transaction, in which the scope is set first."""
        super().execute(_scope())
        return super().executemany(query, params_seq, **options)


def _scope() -> str:
    """LOCAL: until the end of the transaction, which outside of one is that of the message."""
    return f"SET LOCAL {VARIABLE} = '{scope_in_force()}'"


def _is_about_rows(query: Any) -> bool:
    return isinstance(query, str) and query.lstrip(" \n(")[:KEYWORD_LENGTH_MAX].upper().startswith(ROWS)


class DatabaseWrapper(KeepsCursor, base.DatabaseWrapper):
    """See the module."""

    @cached_property
    def wrap_database_errors(self) -> _ErrorWrapper:
        """As in Django, with the errors of a read-only server."""
        return _ErrorWrapper(self)

    def get_connection_params(self) -> dict[str, Any]:
        """Django's, with cursors that name their scope if row-level security is on."""
        params: dict[str, Any] = super().get_connection_params()
        return {**params, "cursor_factory": ScopedCursor} if self.settings_dict.get("ROW_SECURITY") else params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection from the pool. Raises OperationalError if none can be made in time."""
        began = time.perf_counter()
        connection = super().get_new_connection(conn_params)
        recorded.pool_waited(time.perf_counter() - began)
        return connection
