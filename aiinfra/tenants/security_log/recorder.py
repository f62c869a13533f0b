"""Writing to the security log, from anywhere: no organization needs to be in scope."""

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from django.utils import timezone

from aiinfra.logs import request_id_var
from aiinfra.tenants.caller import caller_address
from aiinfra.tenants.security_log import stream
from aiinfra.tenants.security_log.chain import SECURITY, append
from aiinfra.tenants.security_log.models import SecurityEvent

TEXT_MAX = 200
"""Characters of the actor and of the target, and of each text in the details: callers choose some of them."""
DETAILS_MAX = 50
DEPTH_MAX = 5


def record(
    event: str,
    *,
    actor: str = "",
    organization: str = "",
    address: str | None = None,
    request_id: str = "",
    target: str = "",
    details: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> SecurityEvent:
    """Append one event to the installation's security log, in the running transaction if there is one.

    `event` is a member of `events.Event` or a verb of the audit log; `actor` is made by `audit.user_actor`, `key_actor`
    or `command_actor`; `organization` is a slug. Address and request ID default to those of the current request.
    `details` never contain a secret or prompt text. Texts are shortened, so no caller can make this raise. For what
    anyone can repeat without an account, use `repeats.count`.
    """
    row = SecurityEvent(
        at=at or timezone.now(),
        event=event,
        actor=_text(actor),
        organization=_text(organization)[:63],
        ip_address=_address(address or caller_address()),
        request_id=_text(request_id or request_id_var.get())[:64],
        target=_text(target),
        details=_plain(details or {}),
    )
    append(SECURITY, row)
    stream.send(row)
    return row


def _text(value: object) -> str:
    """The text as every database stores it: without NUL and lone surrogates, and not too long."""
    return str(value)[:TEXT_MAX].replace("\0", "").encode(errors="replace").decode()


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON, bounded in length and depth."""
    if isinstance(value, Mapping) and depth < DEPTH_MAX:
        return {_text(key): _plain(each, depth + 1) for key, each in list(value.items())[:DETAILS_MAX]}
    if isinstance(value, list | tuple) and depth < DEPTH_MAX:
        return [_plain(each, depth + 1) for each in value[:DETAILS_MAX]]
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return _text(value)


def _address(value: str | None) -> str | None:
    try:
        return str(ip_address(value or ""))
    except ValueError:
        return None
