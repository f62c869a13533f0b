"""The security log as JSON lines: for exports, and as a stream for a SIEM."""

import json
import logging
from typing import Any

from django.db import transaction

from aiinfra.tenants.security_log.models import SecurityEvent

logger = logging.getLogger("aiinfra.security_log")
"""Its handler writes the file that `SECURITY_LOG_FILE` names; without one, nothing is written."""


def send(row: SecurityEvent) -> None:
    """Hand the event to the stream once it is committed."""
    if logger.handlers:
        text = line(row)
        transaction.on_commit(lambda: logger.info(text), robust=True)


def line(row: SecurityEvent) -> str:
    """One event as a line of JSON, with its digest."""
    return json.dumps(as_json(row), separators=(",", ":"))


def as_json(row: SecurityEvent) -> dict[str, Any]:
    """One event in camelCase, as the API has it."""
    return {
        "sequence": row.sequence,
        "at": row.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "event": row.event,
        "actor": row.actor,
        "organizationId": row.organization,
        "address": row.ip_address,
        "requestId": row.request_id,
        "target": row.target,
        "details": row.details,
        "digest": row.digest,
    }
