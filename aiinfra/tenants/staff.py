"""What staff of the installation may do: each right is granted by name, `is_staff` alone opens only the admin."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet

if TYPE_CHECKING:
    from aiinfra.tenants.models import User

STAFF_PREFIX = "staff:"
"""A view that needs a right of staff declares `staff:<right>` as its permission."""


class StaffRight(StrEnum):
    """A right over the whole installation: a Django permission, granted to a person or a group. Superusers have all."""

    APPROVE_PRICES = "approve_prices"
    OPERATE_QUEUES = "operate_queues"
    READ_SECURITY_LOG = "read_security_log"
    MANAGE_ALERTS = "manage_installation_alerts"
    MANAGE_NOTIFICATIONS = "manage_installation_notifications"
    ERASE_CONTENT = "erase_content"
    ADD_MEMBERS = "add_members_anywhere"

    @property
    def codename(self) -> str:
        """The Django permission, with its app label."""
        return f"tenants.{self.value}"


TITLES = {
    StaffRight.APPROVE_PRICES: "Propose, approve, and reject prices, and reprice",
    StaffRight.OPERATE_QUEUES: "View load by organization, and operate workers and their queue",
    StaffRight.READ_SECURITY_LOG: "Read and export the security log",
    StaffRight.MANAGE_ALERTS: "Handle installation alerts and change their thresholds",
    StaffRight.MANAGE_NOTIFICATIONS: "Manage the installation's notification channels",
    StaffRight.ERASE_CONTENT: "Erase content and set legal holds for every organization",
    StaffRight.ADD_MEMBERS: "Create and change organizations, and add members with any role to all of them",
}
PERMISSIONS: list[tuple[str, Any]] = [(right.value, title) for right, title in TITLES.items()]
"""For `User.Meta.permissions`, so that the admin shows the rights in words."""


def has_right(user: Any, right: StaffRight) -> bool:
    """Whether the person is active staff with the right. At most two queries per request, none for superusers."""
    return bool(user is not None and user.is_staff and user.has_perm(right.codename))


def declared(permission: str) -> StaffRight | None:
    """The right of staff that a view declares; None if it needs another permission."""
    return StaffRight(permission.removeprefix(STAFF_PREFIX)) if permission.startswith(STAFF_PREFIX) else None


def holders(right: StaffRight) -> "QuerySet[User]":
    """Active staff who have the right, superusers included."""
    from aiinfra.tenants.models import User

    granted = Q(user_permissions__codename=right.value, user_permissions__content_type__app_label="tenants")
    by_group = Q(groups__permissions__codename=right.value, groups__permissions__content_type__app_label="tenants")
    people = User.objects.filter(is_active=True, is_staff=True)
    return people.filter(Q(is_superuser=True) | granted | by_group).distinct()


@dataclass(frozen=True)
class RightsOf:
    """For templates: `staff.approve_prices`. Looks a right up when it is used."""

    user: Any

    def __getitem__(self, name: str) -> bool:
        return has_right(self.user, StaffRight(name))
