"""How providers perform: counts of ended calls by model, folded from the ledger and never read back into it."""

from django.db import models

from aiinfra.tenants.models import TenantModel


class ModelCounts(TenantModel):
    """Provider calls that ended within a span of UTC. Every column adds up; the JSON columns do so key by key."""

    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    calls = models.PositiveBigIntegerField(default=0, help_text="answered and failed ones; no cache hits")
    failures = models.PositiveBigIntegerField(default=0)
    errors = models.JSONField(default=dict, help_text="failures by error code")
    timed_calls = models.PositiveBigIntegerField(default=0, help_text="answered calls whose latency is known")
    latency_ms = models.PositiveBigIntegerField(default=0, help_text="sum over the timed calls")
    latencies = models.JSONField(default=dict, help_text="timed calls by bucket of cost_app.performance.histogram")

    class Meta:
        abstract = True


class ModelHour(ModelCounts):
    """One hour; kept for `cost_app.performance.counting.HOURS_KEPT`."""

    hour = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "hour", "provider", "model"], name="one_model_hour")
        ]
        indexes = [models.Index(fields=["hour"], name="model_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M} {self.provider}/{self.model}"


class ModelMinute(ModelCounts):
    """One minute; kept for `cost_app.performance.counting.MINUTES_KEPT`."""

    minute = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "minute", "provider", "model"], name="one_model_minute")
        ]
        indexes = [models.Index(fields=["minute"], name="model_minute")]

    def __str__(self) -> str:
        return f"{self.minute:%H:%M} {self.provider}/{self.model}"


class ModelState(TenantModel):
    """The latest results of an organization's calls to a model."""

    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    answered_at = models.DateTimeField(null=True, help_text="end of the last answered call")
    failed_at = models.DateTimeField(null=True, help_text="end of the last failed call, whatever the error")
    failing_since = models.DateTimeField(
        null=True, help_text="first failure of the provider after the last answer; None while it answers"
    )
    failures = models.PositiveBigIntegerField(default=0, help_text="failures of the provider since the last answer")
    errors = models.JSONField(default=dict, help_text="error code -> [time of the last one (ISO 8601), its message]")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "provider", "model"], name="one_model_state")]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"
