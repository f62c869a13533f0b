"""A cursor that a database connection keeps for statements that are prepared once (`aiinfra.tenants.statements`)."""

from typing import Any


class KeepsCursor:
    """Part of our database backends. Making a cursor costs as much CPU as running a small statement with it."""

    _kept: tuple[Any, Any] = (None, None)

    def kept_cursor(self: Any) -> Any:
        """A cursor for one statement, whose rows are fetched before the next one runs. Do not close it.

        It is a new one, which logs, while queries are logged.
        """
        if self.queries_logged:
            return self.cursor()
        self.close_if_health_check_failed()
        self.ensure_connection()
        connection, cursor = self._kept
        if connection is not self.connection:
            cursor = self.cursor()
            self._kept = self.connection, cursor
        return cursor

    def _close(self) -> None:
        self._kept = (None, None)
        super()._close()  # type: ignore[misc]
