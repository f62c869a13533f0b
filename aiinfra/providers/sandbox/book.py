"""The append-only record of every call that the sandbox billed."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from aiinfra.configuration.setting import Values
from aiinfra.configuration.table.providers import SANDBOX_BOOK
from aiinfra.providers.base import TokenUsage

Row = dict[str, Any]


class Book:
    """Rows in memory and, with a path, in a JSON lines file that is read again at the next start."""

    def __init__(self, path: Path | None) -> None:
        self._rows: list[Row] = []
        self._billed: dict[str, Row] = {}
        self._running: Counter[str] = Counter()
        self._file = None if path is None else _opened(path)
        for line in self._stored_lines():
            self._remember(json.loads(line))

    def _stored_lines(self) -> list[bytes]:
        if self._file is None:
            return []
        self._file.seek(0)
        content = self._file.read()
        # The process was killed while it wrote a row: the answer was never sent, so the call was not billed.
        whole = content.rfind(b"\n") + 1
        self._file.truncate(whole)
        return content[:whole].splitlines()

    def _remember(self, row: Row) -> None:
        self._rows.append(row)
        if row["attemptId"]:
            self._billed[row["attemptId"]] = row

    def bill(self, attempt_id: str | None, provider: str, model: str, usage: TokenUsage) -> None:
        """Write a row. The operating system has it before this returns, and so before the answer is sent."""
        row = {
            "attemptId": attempt_id,
            "provider": provider,
            "model": model,
            "usage": usage_classes(usage),
            "at": datetime.now(UTC).isoformat(),
        }
        if self._file is not None:
            self._file.write(json.dumps(row).encode() + b"\n")
        self._remember(row)

    @contextmanager
    def running(self, attempt_id: str | None) -> Iterator[None]:
        """Mark the attempt as running for the length of the block."""
        name = attempt_id or ""
        self._running[name] += 1
        try:
            yield
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]

    def rows(self) -> list[Row]:
        """Every billed call, oldest first."""
        return self._rows

    def call(self, attempt_id: str) -> Row:
        """State (billed, running, unknown) and usage of an attempt."""
        if row := self._billed.get(attempt_id):
            return {"state": "billed", "usage": row["usage"]}
        return {"state": "running" if attempt_id in self._running else "unknown", "usage": None}


def book_from_environment() -> Book:
    """The book at SANDBOX_BOOK, or one in memory if that is unset."""
    path = Values(os.environ)[SANDBOX_BOOK]
    return Book(Path(path) if path else None)


def usage_classes(usage: TokenUsage) -> dict[str, int]:
    """The disjoint classes under the book's names."""
    return {
        "input": usage.input,
        "cacheRead": usage.cache_read,
        "cacheWrite": usage.cache_write,
        "output": usage.output,
        "reasoning": usage.reasoning,
    }


def _opened(path: Path) -> FileIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+b", buffering=0)
