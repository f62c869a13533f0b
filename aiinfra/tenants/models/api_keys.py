"""API keys."""

from django.db import models
from django.utils import timezone

from aiinfra.encrypted_fields import EncryptedTextField
from aiinfra.signing_secrets import LENGTH_MAX as SECRET_MAX
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits, networks_of
from aiinfra.tenants.models.memberships import ROLE_CHOICES
from aiinfra.tenants.models.organizations import TenantModel
from aiinfra.tenants.models.people import User
from aiinfra.webhook_urls import LENGTH_MAX


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
