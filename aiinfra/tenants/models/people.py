"""People and where they are logged in."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils import timezone

from aiinfra.tenants import staff
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record


class PersonManager(UserManager["User"]):
    """Creates accounts; a new superuser is an event of the security log, whichever command made them."""

    use_in_migrations = False

    def create_superuser(self, *args: Any, **kwargs: Any) -> "User":
        """Create an account with every right over the installation."""
        user = super().create_superuser(*args, **kwargs)
        record(Event.STAFF_CHANGED, actor="command:createsuperuser", target=str(user), details={"is_superuser": True})
        return user


class User(AbstractUser):
    """A person; permissions come from memberships. `is_staff` grants access to Django admin; what they may do there and
    on pages that span organizations, the rights in `staff` say.
    """

    objects: ClassVar[PersonManager] = PersonManager()

    class Meta(AbstractUser.Meta):
        permissions = staff.PERMISSIONS


class PersonSession(models.Model):
    """Where a person is logged in. A session without its row here is logged out with its next request."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="person_sessions")
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    organization = models.ForeignKey(
        "Organization",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="the only one that a session through its single sign-on can see",
    )

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def browser(self) -> str:
        """The browser and system that the session's user agent claims, such as "Firefox on Windows"."""
        # Chrome claims to be Safari as well, and Edge both: the first match counts.
        browsers = {"Edg": "Edge", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
        systems = {"Android": "Android", "iPhone": "iOS", "Windows": "Windows", "Mac OS": "macOS", "Linux": "Linux"}
        found = [
            next((name for sign, name in names.items() if sign in self.user_agent), "") for names in (browsers, systems)
        ]
        return " on ".join(filter(None, found)) or "Unknown browser"


class ResetRequest(models.Model):
    """Someone asked for a link to reset the password of an address, which may have no account. Deleted when handled."""

    email = models.CharField(max_length=254)
    asked_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now, db_index=True)
    ip_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"asked at {self.asked_at:%Y-%m-%d %H:%M}"
