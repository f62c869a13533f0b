"""The audit log. Each change is recorded in its own transaction."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from aiinfra import epochs
from aiinfra.logs import request_id_var
from aiinfra.tenants.caller import caller_address
from aiinfra.tenants.models import ApiKey, AuditEvent, OwnedModel, TenantModel, User
from aiinfra.tenants.scope import owner_scope
from aiinfra.tenants.security_log import recorder
from aiinfra.tenants.security_log.chain import append
from aiinfra.tenants.security_log.events import OPERATIONS


def record(
    *,
    organization_id: int | None,
    actor: str,
    verb: str,
    target: str,
    changes: dict[str, Any] | None = None,
    ip_address: str | None = None,
) -> AuditEvent:
    """Write one event; call it inside the transaction of the change. Without an organization, the event belongs to the
    installation.

    `actor` is made by `user_actor`, `key_actor` or `command_actor`; `changes` maps a field to [before, after] and never
    contains a secret. The IP address defaults to that of the current request. The commit invalidates what processes
    have cached for the organization.
    """
    with owner_scope(organization_id):
        event = AuditEvent(
            organization_id=organization_id,
            actor=actor,
            verb=verb,
            target=target,
            changes=changes or {},
            request_id=request_id_var.get(),
            ip_address=ip_address or caller_address(),
        )
        append(chain_of(organization_id), event)
    epochs.change(organization_id)
    if not verb.startswith(OPERATIONS):
        _note_for_staff(event)
    return event


def _note_for_staff(event: AuditEvent) -> None:
    """Copy changes of rights, settings and prices to the installation's security log."""
    recorder.record(
        event.verb,
        actor=event.actor,
        organization=event.organization.slug if event.organization else "",
        address=event.ip_address,
        target=event.target,
        details=event.changes,
        at=event.at,
    )


def chain_of(organization_id: int | None) -> str:
    """The name of an organization's chain of audit events, or of the installation's for None."""
    return f"audit:{organization_id or 'installation'}"


def change_columns(
    row: TenantModel | OwnedModel, changes: Mapping[str, Any], *, actor: str, verb: str, target: str
) -> None:
    """Set columns of a row and record which of them changed; does nothing if none did.

    Call it inside a transaction that has locked the row.
    """
    before = {name: getattr(row, name) for name in changes}
    changed = {name: [before[name], value] for name, value in changes.items() if before[name] != value}
    if not changed:
        return
    for name, (_, value) in changed.items():
        setattr(row, name, value)
    row.save(update_fields=list(changed))
    record(organization_id=row.organization_id, actor=actor, verb=verb, target=target, changes=changed)


def user_actor(user: User) -> str:
    """A person's actor name in the log: `user:owner@demo`."""
    return f"user:{user.get_username()}"


def key_actor(key: ApiKey) -> str:
    """An API key's actor name in the log: `key:<id>`."""
    return f"key:{key.key_id}"


def command_actor(name: str) -> str:
    """A management command's actor name in the log: `command:createorg`."""
    return f"command:{name}"


def audit_events(*, actor: str = "", verb: str = "", text: str = "") -> QuerySet[AuditEvent]:
    """The scoped organization's events, newest first.

    `actor` and `verb` match prefixes (`user:`, `api_key.`); `text` matches anywhere in the target or the actor.
    """
    events = AuditEvent.objects.filter(actor__startswith=actor, verb__startswith=verb)
    if text:
        events = events.filter(Q(target__icontains=text) | Q(actor__icontains=text))
    return events.order_by("-at", "-id")
