"""Django's backend for PostgreSQL, for servers that fail over.

A server that became read-only is treated as unreachable: the error can be retried, and the connection is closed, so
that the next one finds the new primary. A full disk is noted. The time that threads wait for a connection is recorded.
"""

import time
from types import TracebackType
from typing import Any

from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper, OperationalError
from django.utils.functional import cached_property
from psycopg.errors import DiskFull, ReadOnlySqlTransaction

from aiinfra import full_disk
from aiinfra.metrics import recorded


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


class DatabaseWrapper(base.DatabaseWrapper):
    """See the module."""

    @cached_property
    def wrap_database_errors(self) -> _ErrorWrapper:
        """As in Django, with the errors of a read-only server."""
        return _ErrorWrapper(self)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection from the pool. Raises OperationalError if none can be made in time."""
        began = time.perf_counter()
        connection = super().get_new_connection(conn_params)
        recorded.pool_waited(time.perf_counter() - began)
        return connection
