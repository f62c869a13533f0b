"""A cursor that a database connection keeps for statements that are prepared once (`aiinfra.tenants.statements`)."""

from typing import Any


class KeepsCursor:
    """Mixin for our database backends. Creating a cursor costs as much CPU as running a small statement."""

    _kept: tuple[Any, Any] = (None, None)

    def kept_cursor(self: Any) -> Any:
        """A cursor for one statement, whose rows are fetched before the next one runs. Do not close it.

        While queries are logged, it returns a new logging cursor.
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
