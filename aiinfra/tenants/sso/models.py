"""The identity provider of an organization, and the accounts that it knows."""

from typing import Any

from django.db import models
from django.utils import timezone

from aiinfra.encrypted_fields import EncryptedTextField
from aiinfra.tenants.models import ROLE_CHOICES, TenantModel, User


class IdentityProvider(TenantModel):
    """An OpenID Connect issuer that one organization trusts, for itself only."""

    issuer = models.URLField(max_length=500)
    client_id = models.CharField(max_length=255)
    client_secret = EncryptedTextField(blank=True)
    domains = models.JSONField(default=list, help_text="email domains, in lowercase")
    role_claim = models.CharField(max_length=100, blank=True)
    role_map = models.JSONField(default=dict, help_text="value of the claim: role")
    default_role = models.CharField(max_length=16, choices=ROLE_CHOICES, blank=True)
    is_enforced = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization"], name="one_identity_provider")]

    def __str__(self) -> str:
        return self.issuer


class Identity(TenantModel):
    """An account at the identity provider. `checked_at` is when the provider last confirmed it."""

    provider = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=255)
    refresh_token = EncryptedTextField(blank=True)
    checked_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "subject"], name="one_identity_per_subject")]
        indexes = [
            models.Index(fields=["checked_at"], name="identity_to_check", condition=models.Q(ended_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.provider}"


Claims = dict[str, Any]
"""What the provider says about a person."""
