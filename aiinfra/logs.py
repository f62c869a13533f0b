"""Structured logs: one JSON object per line with the request ID; never prompt text, keys or headers."""

import json
import logging
import re
import socket
import threading
import time
from collections import Counter
from contextvars import ContextVar
from datetime import UTC, datetime

from aiinfra.tracing.spans import ids_for_logs

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

TOKEN_IN_PATH = re.compile(r"(/+invitations/+|/+password/+reset/+)[^/?\s\"']+", re.IGNORECASE)
"""URLs that grant access to an account."""


def without_tokens(text: str) -> str:
    """The text with the tokens in links to our pages replaced by `...`."""
    return TOKEN_IN_PATH.sub(r"\1...", text)


REFUSED_PER_MINUTE = 60
SAME_PER_MINUTE = 10
MESSAGES_MAX = 500
"""Distinct messages counted per minute; all others share one count."""
MESSAGE_MAX = 300
TEXT_MAX = 8_000
"""Maximum characters of a message or traceback. Longer ones are cut in the middle."""
SERVER_ERROR = 500
HOST = socket.gethostname()


class _Minute:
    """Counts by key within the current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: Counter[object] = Counter()

    def count(self, key: object) -> int:
        """How often the key has occurred in this minute, including this time."""
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._counts.clear()
            if key not in self._counts and len(self._counts) >= MESSAGES_MAX:
                key = None
            self._counts[key] += 1
            return self._counts[key]


class FewRefused(logging.Filter):
    """Limits log lines for malformed requests, which anyone can send: one short line each, 60 per minute."""

    def __init__(self) -> None:
        super().__init__()
        self._minute = _Minute()

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the line of a refused request, or drop it. Other lines are unchanged."""
        if not _is_refusal(record):
            return True
        record.msg, record.args = record.getMessage()[:MESSAGE_MAX], ()
        record.exc_info = record.exc_text = None
        return self._minute.count("refused") <= REFUSED_PER_MINUTE


class FewRepeats(logging.Filter):
    """Limits each message to 10 lines per minute, so that a repeated failure doesn't rotate everything else out.

    Two records have the same message if their logger, their unformatted text, and their exception type are the same.
    The last line of a minute says that more are dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self._minute = _Minute()

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop a message that has reached its limit for this minute."""
        error = record.exc_info[0] if record.exc_info else None
        times = self._minute.count((record.name, str(record.msg)[:MESSAGE_MAX], error))
        if times == SAME_PER_MINUTE:
            record.fields = {**getattr(record, "fields", {}), "repeats": "not written again in this minute"}
        return times <= SAME_PER_MINUTE


def _is_refusal(record: logging.LogRecord) -> bool:
    if record.name.startswith("django.security."):
        return True
    return record.name == "django.request" and getattr(record, "status_code", SERVER_ERROR) < SERVER_ERROR


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `extra={"fields": {...}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line feed."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "host": HOST,
            "message": without_tokens(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if request_id := request_id_var.get():
            line["requestId"] = request_id
        line |= ids_for_logs()
        if record.exc_info:
            line["traceback"] = without_tokens(self.formatException(record.exc_info))
        return json.dumps({name: _shortened(value) for name, value in line.items()}, default=str)


def _shortened(value: object) -> object:
    """The value, without the middle of a long text."""
    if not isinstance(value, str) or len(value) <= TEXT_MAX:
        return value
    return f"{value[: TEXT_MAX // 2]} ... {value[-TEXT_MAX // 2 :]}"
