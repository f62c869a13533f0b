"""Structured logs: one JSON object per line with the request ID; never prompt text, keys or headers."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

TOKEN_IN_PATH = re.compile(r"(/invitations/|/password/reset/)[^/?\s\"']+")
"""Addresses that let whoever reads them into an account."""


def without_tokens(text: str) -> str:
    """The text with `...` for the tokens of links to our pages."""
    return TOKEN_IN_PATH.sub(r"\1...", text)


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
