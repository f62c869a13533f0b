"""Organizations, and the bases of every table that belongs to one."""

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from aiinfra.tenants.scope import TenantManager


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless the name is in the IANA time zone database."""
    if name not in available_timezones():
        raise ValidationError("%(name)s is not an IANA time zone.", params={"name": name})


class Organization(models.Model):
    """A tenant: everything else belongs to exactly one."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


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
