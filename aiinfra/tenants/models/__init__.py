"""Organizations, their people and API keys, and the audit log."""

from aiinfra.tenants.models.api_keys import ApiKey
from aiinfra.tenants.models.audit import AuditEvent
from aiinfra.tenants.models.memberships import ROLE_CHOICES, Invitation, Membership
from aiinfra.tenants.models.once import OnceAnswer
from aiinfra.tenants.models.organizations import Organization, OwnedModel, TenantModel, validate_time_zone
from aiinfra.tenants.models.people import PersonManager, PersonSession, ResetRequest, User

__all__ = [
    "ROLE_CHOICES",
    "ApiKey",
    "AuditEvent",
    "Invitation",
    "Membership",
    "OnceAnswer",
    "Organization",
    "OwnedModel",
    "PersonManager",
    "PersonSession",
    "ResetRequest",
    "TenantModel",
    "User",
    "validate_time_zone",
]
