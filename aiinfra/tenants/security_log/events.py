"""The events of the security log that are no change; a change has the verb of the audit log."""

from enum import StrEnum


class Event(StrEnum):
    """What is recorded besides changes. docs/security-log.md explains each."""

    LOG_IN = "login.succeeded"
    LOG_IN_FAILED = "login.failed"
    LOCKED_OUT = "login.locked_out"
    LOG_OUT = "login.ended"
    SESSION_ENDED = "session.ended"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - an event, no password
    PASSWORD_RESET_REQUESTED = "password.reset_requested"  # noqa: S105 - an event, no password
    PASSWORD_RESET = "password.reset"  # noqa: S105 - an event, no password
    SECOND_FACTOR_ADDED = "second_factor.added"
    SECOND_FACTOR_REMOVED = "second_factor.removed"
    SECOND_FACTOR_FAILED = "second_factor.failed"
    SSO_ENDED = "sso.ended"
    KEY_REFUSED = "key.refused"
    PERMISSION_REFUSED = "permission.refused"
    OTHERS = "others.counted"
    LIMIT_REACHED = "limit.reached"
    CONTENT_READ = "content.read"
    EXPORTED = "data.exported"
    LOG_READ = "security_log.read"
    LOG_EXPORTED = "security_log.exported"
    ADMIN_ADDED = "admin.added"
    ADMIN_CHANGED = "admin.changed"
    ADMIN_DELETED = "admin.deleted"
    STAFF_CHANGED = "staff.changed"
    ERASED = "content.erased"
    SECRETS_ROTATED = "secrets.rotated"


OPERATIONS = ("request.", "queue.", "cache.", "cache_hit.", "alert.")
"""Verbs of the audit log that are daily work, not settings or rights: they stay out of the security log."""
