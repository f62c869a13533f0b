"""Fallback routes: where a request goes when its first choice fails."""

from django.db import models

from aiinfra.tenants.models import TenantModel


class FallbackRoute(TenantModel):
    """One step of an organization's fallback chain for a model; steps are tried in the order of `position`."""

    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    position = models.PositiveSmallIntegerField()
    to_provider = models.CharField(max_length=32)
    to_model = models.CharField(max_length=128)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "model", "position"], name="one_fallback_a_position"
            )
        ]
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} -> {self.to_provider}/{self.to_model}"


class FallbackOptOut(TenantModel):
    """No default chain for this model or, if both names are empty, for any model of the organization."""

    provider = models.CharField(max_length=32, blank=True)
    model = models.CharField(max_length=128, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "provider", "model"], name="one_fallback_opt_out_a_model")
        ]

    def __str__(self) -> str:
        return f"no default fallback for {self.provider}/{self.model}" if self.model else "no default fallbacks"


class ModelAlias(TenantModel):
    """A name that the organization's clients send instead of a model."""

    name = models.CharField(max_length=64)
    target = models.CharField(max_length=161, help_text="model, or provider/model")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="one_model_an_alias")]

    def __str__(self) -> str:
        return f"{self.name} -> {self.target}"
