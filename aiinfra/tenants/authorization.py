"""The one table of permissions. Views, API operations and the matrix test all read it."""

from dataclasses import dataclass
from enum import StrEnum

from aiinfra.tenants.key_limits import NO_LIMITS, KeyLimits


class Role(StrEnum):
    """A role of a member or an API key in one organization."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    FINANCE = "finance"
    ADMIN = "admin"
    OWNER = "owner"


EVERYONE = frozenset(Role)
OPERATORS = frozenset({Role.OPERATOR, Role.ADMIN, Role.OWNER})
FINANCIERS = frozenset({Role.FINANCE, Role.ADMIN, Role.OWNER})
ADMINS = frozenset({Role.ADMIN, Role.OWNER})


@dataclass(frozen=True)
class Permission:
    """A permission: which roles have it, and whether an API key can carry it (its name is then the key's scope) and a
    browser session has it.
    """

    roles: frozenset[Role]
    by_key: bool = True
    by_session: bool = True


PERMISSIONS: dict[str, Permission] = {
    "chat:write": Permission(OPERATORS),
    "queue:read": Permission(EVERYONE),
    "queue:write": Permission(OPERATORS),
    "queue:admin": Permission(OPERATORS),
    "queue:cleanup": Permission(ADMINS),
    "content:read": Permission(OPERATORS),
    "route:manage": Permission(OPERATORS, by_key=False),
    "cache:read": Permission(EVERYONE),
    "cache:write": Permission(OPERATORS),
    "cache:manage": Permission(ADMINS, by_key=False),
    "cost:read": Permission(EVERYONE),
    "budget:write": Permission(FINANCIERS),
    "alert:write": Permission(FINANCIERS | OPERATORS),
    "alert:manage": Permission(ADMINS, by_key=False),
    "advice:write": Permission(FINANCIERS),
    "usage:write": Permission(OPERATORS | FINANCIERS),
    "user:name": Permission(OPERATORS | FINANCIERS, by_session=False),
    "finance:read": Permission(FINANCIERS),
    "finance:write": Permission(FINANCIERS),
    "health:read": Permission(EVERYONE),
    "metrics:read": Permission(EVERYONE),
    "audit:read": Permission(FINANCIERS),
    "security_log:read": Permission(ADMINS),
    "alias:write": Permission(ADMINS),
    "key:manage": Permission(ADMINS, by_key=False),
    "key:limit": Permission(ADMINS),
    "member:read": Permission(EVERYONE, by_key=False),
    "member:manage": Permission(ADMINS, by_key=False),
    "organization:write": Permission(ADMINS, by_key=False),
    "privacy:manage": Permission(frozenset({Role.OWNER}), by_key=False),
    "privacy:erase": Permission(frozenset({Role.OWNER})),
    "sso:manage": Permission(frozenset({Role.OWNER}), by_key=False),
    "notification:manage": Permission(ADMINS | FINANCIERS, by_key=False),
}


def role_allows(role: Role, permission: str) -> bool:
    """Whether the role has the permission. Raises KeyError for a permission that the table does not have."""
    return role in PERMISSIONS[permission].roles


def scopes_of(role: Role) -> list[str]:
    """Every scope that a key with this role can carry, sorted."""
    return sorted(name for name, right in PERMISSIONS.items() if right.by_key and role in right.roles)


RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.FINANCE: 1, Role.ADMIN: 2, Role.OWNER: 3}


def may_grant(giver: Role, role: Role) -> bool:
    """Whether a giver with this role may grant or revoke the other role: none above their own."""
    return RANK[giver] >= RANK[role]


@dataclass(frozen=True)
class Principal:
    """The caller: one organization and what they may do in it."""

    organization_id: int
    organization_slug: str
    role: Role
    actor: str
    """The caller as the audit log names them."""
    user_id: int | None = None
    api_key_id: int | None = None
    scopes: frozenset[str] | None = None
    """None for a person's session, the scopes for an API key."""
    limits: KeyLimits = NO_LIMITS
    """Of an API key."""

    def can(self, permission: str) -> bool:
        """Whether the role has the permission and the kind of caller can: for a key, its scopes include it."""
        if not role_allows(self.role, permission):
            return False
        if self.scopes is None:
            return PERMISSIONS[permission].by_session
        return PERMISSIONS[permission].by_key and permission in self.scopes
