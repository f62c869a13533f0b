"""Django's backend for PostgreSQL, for servers that fail over, and for row-level security.

A server that became read-only is treated as unreachable: the error can be retried, and the connection is closed, so
that the next one finds the new primary. A full disk is recorded, and so is the time that threads wait for a connection.

With `ROW_SECURITY`, each statement on rows is prefixed with the current scope (`aiinfra.tenants.scope`). Both are sent
in one message, which takes no extra round trip and works behind a transaction-pooling proxy.
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
    """Converts psycopg's errors to Django's."""

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
    """Sets the scope for each statement; the policies in `aiinfra.tenants.row_security` read it."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Only statements on rows get a scope: after an error, nothing may precede a ROLLBACK."""
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
    """LOCAL: until the end of the transaction; outside a transaction, the message is one."""
    return f"SET LOCAL {VARIABLE} = '{scope_in_force()}'"


def _is_about_rows(query: Any) -> bool:
    return isinstance(query, str) and query.lstrip(" \n(")[:KEYWORD_LENGTH_MAX].upper().startswith(ROWS)


class DatabaseWrapper(KeepsCursor, base.DatabaseWrapper):
    """See the module docstring."""

    @cached_property
    def wrap_database_errors(self) -> _ErrorWrapper:
        """As in Django, with the errors of a read-only server."""
        return _ErrorWrapper(self)

    def get_connection_params(self) -> dict[str, Any]:
        """Django's parameters, with scoped cursors if row-level security is on."""
        params: dict[str, Any] = super().get_connection_params()
        return {**params, "cursor_factory": ScopedCursor} if self.settings_dict.get("ROW_SECURITY") else params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection from the pool. Raises OperationalError if none can be made in time."""
        began = time.perf_counter()
        connection = super().get_new_connection(conn_params)
        recorded.pool_waited(time.perf_counter() - began)
        return connection
