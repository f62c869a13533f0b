"""Counts of what the cache did, so that no figure needs the raw rows."""

from django.db import models

from aiinfra.tenants.models import TenantModel


class CountSpan(models.TextChoices):
    """The time that a row covers. Days are in the organization's time zone."""

    HOUR = "hour"
    DAY = "day"


class CacheCount(TenantModel):
    """How often something happened in one hour or day; `cache_app.metrics.counts` lists the names."""

    span = models.CharField(max_length=8, choices=CountSpan.choices)
    starts_at = models.DateTimeField()
    name = models.CharField(max_length=64)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "span", "starts_at", "name"], name="one_cache_count")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.count}"
