"""Organizations, their people and API keys, and the audit log."""

import uuid
from ipaddress import ip_address
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from aiinfra.encrypted_fields import EncryptedTextField
from aiinfra.signing_secrets import LENGTH_MAX as SECRET_MAX
from aiinfra.tenants import staff
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits, networks_of
from aiinfra.tenants.scope import TenantManager
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record
from aiinfra.webhook_urls import LENGTH_MAX

ROLE_CHOICES = [(role.value, role.value.capitalize()) for role in Role]


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless the name is in the IANA time zone database."""
    if name not in available_timezones():
        raise ValidationError("%(name)s is not an IANA time zone.", params={"name": name})


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


class Organization(models.Model):
    """A tenant: everything else belongs to exactly one."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in an organization."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=ROLE_CHOICES)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="one_membership_per_person"),
            models.CheckConstraint(condition=models.Q(role__in=list(Role)), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.organization}"


class TenantModel(models.Model):
    """Base of every table that belongs to a tenant."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")

    objects = TenantManager()

    class Meta:
        abstract = True


class OwnedModel(models.Model):
    """Base of tables whose rows belong to one organization or, where `organization` is NULL, to the installation.

    The manager separates the two as strictly as two organizations: see `scope.installation_scope`.
    """

    organization = models.ForeignKey(Organization, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    objects = TenantManager()

    class Meta:
        abstract = True


class Invitation(TenantModel):
    """An open invitation; only a hash of the link's token is stored."""

    email = models.EmailField()
    role = models.CharField(max_length=16, choices=ROLE_CHOICES)
    token_digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"


class ApiKey(TenantModel):
    """A program's credential. Only an HMAC of the secret is stored; see `aiinfra.tenants.keys` for the format."""

    key_id = models.CharField(max_length=8, unique=True)
    secret_digest = models.CharField(max_length=64)
    pepper_id = models.CharField(max_length=16, editable=False, help_text="names the pepper of the digest")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=16, choices=ROLE_CHOICES)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(  # without its person, a key would pass for one that a command created
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_requests = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveBigIntegerField(null=True, blank=True)
    nano_per_minute = models.PositiveBigIntegerField(null=True, blank=True, help_text="nano-dollars")
    allowed_networks = models.JSONField(default=list, blank=True, help_text="in CIDR notation; empty: anywhere")
    allowed_models = models.JSONField(default=list, blank=True, help_text="empty: all")
    allowed_doors = models.JSONField(default=list, blank=True, help_text="endpoints that send calls; empty: all")
    default_tags = models.JSONField(default=list, blank=True)
    default_priority = models.CharField(max_length=8, blank=True, default="")
    webhook = EncryptedTextField(max_length=LENGTH_MAX, null=True, blank=True, help_text="URL for the end of requests")
    webhook_secret = EncryptedTextField(
        max_length=SECRET_MAX, null=True, blank=True, help_text="signs request webhooks instead of the channel's"
    )
    line = models.CharField(  # noqa: DJ001 - NULL is equal to nothing, so a key without a line is alone
        max_length=8, null=True, editable=False, help_text="public id of the first of keys that replaced each other"
    )

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(condition=models.Q(**{f"{name}__gt": 0}), name=f"api_key_{name}_positive")
            for name in ("requests_per_minute", "concurrent_requests", "tokens_per_minute", "nano_per_minute")
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="api_key_by_age"),
            models.Index(fields=["line"], name="api_key_line", condition=models.Q(line__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.key_id})"

    @property
    def limits(self) -> KeyLimits:
        """What the key may do."""
        return KeyLimits(
            requests_per_minute=self.requests_per_minute,
            concurrent_requests=self.concurrent_requests,
            tokens_per_minute=self.tokens_per_minute,
            nano_per_minute=self.nano_per_minute,
            networks=networks_of(self.allowed_networks),
            access=KeyAccess(
                models=tuple(self.allowed_models),
                doors=tuple(self.allowed_doors),
                tags=tuple(self.default_tags),
                priority=self.default_priority,
                webhook=self.webhook or "",
            ),
        )


class AuditEvent(OwnedModel):
    """A change: who did what to what. Without an organization, it changed the installation.

    Append-only: triggers in both databases refuse UPDATE and DELETE. Each organization's events are a chain, see
    `security_log.chain`; a row without a place in it was not written by `audit.record`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=200, help_text="username, API key or command")
    verb = models.CharField(max_length=64, help_text="what was done, as noun.verb, such as api_key.revoked")
    target = models.CharField(max_length=200)
    changes = models.JSONField(default=dict, help_text="field: [before, after]; never a secret")
    request_id = models.CharField(max_length=64, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    sequence = models.BigIntegerField(null=True, editable=False, help_text="counts the organization's events")
    digest = models.CharField(max_length=64, blank=True, editable=False, help_text="see the security log")

    class Meta:
        indexes = [models.Index(fields=["organization", "-at", "-id"], name="audit_by_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "sequence"],
                condition=models.Q(organization__isnull=False),
                name="audit_sequence_of_organization",
            ),
            models.UniqueConstraint(
                fields=["sequence"],
                condition=models.Q(organization__isnull=True),
                name="audit_sequence_of_installation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.target}"

    def chained(self) -> dict[str, Any]:
        """What the digest covers."""
        return {
            "id": self.pk,
            "organization": self.organization_id,
            "at": self.at,
            "actor": self.actor,
            "verb": self.verb,
            "target": self.target,
            "changes": self.changes,
            "request_id": self.request_id,
            "address": ip_address(self.ip_address).exploded if self.ip_address else None,
        }


class OnceAnswer(OwnedModel):
    """The answer to a write, so that a repeated request runs once and gets the same answer; see `aiinfra.idempotency`.

    Rows are kept for one day. `status` is NULL while the first request is running.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the owner and the caller's key")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the request")
    created_at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(help_text="JSON of an API response; for a form, the redirect target, never a page")

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="once_answer_by_age")]

    def __str__(self) -> str:
        return f"{self.digest[:8]}: {self.status or 'in progress'}"
