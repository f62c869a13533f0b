"""Usage by hour and day: sums of the ledger, folded from it within a second and never read back into it."""

from django.db import models

from aiinfra.tenants.models import TenantModel
from cost_app.models.ledger import LedgerEntry


class Dimension(models.TextChoices):
    """What a sum is grouped by.

    The value is "" for the total, `provider/model` for a model, the key's id, a user's reference, a priority's weight,
    or a tag.
    """

    TOTAL = "total"
    PROVIDER = "provider"
    MODEL = "model"
    API_KEY = "api_key"
    USER = "user"
    PRIORITY = "priority"
    TAG = "tag"

    @property
    def noun(self) -> str:
        """What a group is, within a sentence."""
        return "API key" if self is Dimension.API_KEY else str(self.value)


class UsageSums(TenantModel):
    """The sums themselves; every column adds up. Money in nano-dollars, times in ms."""

    dimension = models.CharField(max_length=16, choices=Dimension.choices)
    value = models.CharField(max_length=200, blank=True)
    nano = models.BigIntegerField(default=0)
    saved_nano = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0, help_text="provider calls and cache hits")
    errors = models.BigIntegerField(default=0)
    cache_hits = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(default=0, help_text="part of the cache writes")
    output_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    latency_ms = models.BigIntegerField(default=0, help_text="sum over the timed calls")
    timed_calls = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


SUMS = tuple(each.name for each in UsageSums._meta.local_fields if type(each) is models.BigIntegerField)
"""The columns that add up, in their order. `cost_app.spend.series.Totals` has the same fields."""


OTHER_TAGS = " (other tags)"
"""The sums of a day's tags that have none of their own. No client can send it: names have no leading space."""


class UsageHour(UsageSums):
    """One hour of the organization's clock; `hour` is the instant at which it begins (not a whole hour of UTC in every
    time zone)."""

    hour = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "dimension", "hour", "value"], name="one_usage_hour")
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M} {self.dimension} {self.value}"


class UsageDay(UsageSums):
    """One day of the organization's calendar."""

    day = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "dimension", "day", "value"], name="one_usage_day")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.dimension} {self.value}"


class PendingUsage(TenantModel):
    """A ledger entry that is not in the sums yet: written with it in one transaction, deleted with the fold's."""

    entry = models.OneToOneField(LedgerEntry, primary_key=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"entry {self.entry_id}"
