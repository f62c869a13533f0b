"""Structured logs: one JSON object per line with the request ID; never prompt text, keys or headers."""

import json
import logging
import re
import threading
import time
from contextvars import ContextVar
from datetime import UTC, datetime

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

TOKEN_IN_PATH = re.compile(r"(/invitations/|/password/reset/)[^/?\s\"']+")
"""Addresses that let whoever reads them into an account."""


def without_tokens(text: str) -> str:
    """The text with `...` for the tokens of links to our pages."""
    return TOKEN_IN_PATH.sub(r"\1...", text)


REFUSED_PER_MINUTE = 60
MESSAGE_MAX = 300
SERVER_ERROR = 500


class FewRefused(logging.Filter):
    """Anyone can send malformed requests, such as with a wrong Host: one short line each, and 60 lines per minute."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._minute, self._lines = 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the line of a refused request, or drop it. Other lines pass."""
        if not _is_refusal(record):
            return True
        record.msg, record.args = record.getMessage()[:MESSAGE_MAX], ()
        record.exc_info = record.exc_text = None
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._lines = minute, 0
            self._lines += 1
            return self._lines <= REFUSED_PER_MINUTE


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
            "message": without_tokens(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if request_id := request_id_var.get():
            line["requestId"] = request_id
        if record.exc_info:
            line["traceback"] = without_tokens(self.formatException(record.exc_info))
        return json.dumps(line, default=str)
