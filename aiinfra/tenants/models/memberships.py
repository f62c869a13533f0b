"""Who belongs to which organization, and who is invited."""

from django.db import models
from django.utils import timezone

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models.organizations import Organization, TenantModel
from aiinfra.tenants.models.people import User

ROLE_CHOICES = [(role.value, role.value.capitalize()) for role in Role]


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
