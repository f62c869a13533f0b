"""One attempt for each provider call, and the append-only ledger. Amounts are nano-dollars."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.partial_indexes import one_of
from aiinfra.providers.base import ProviderAttempt, TokenUsage
from aiinfra.tenants.models import ApiKey, TenantModel
from cost_app.models.prices import ModelPrice, Repricing


class AttemptState(models.TextChoices):
    """The accounting state of a call: reserved -> dispatched -> settled | estimated, or released (not billed)."""

    RESERVED = "reserved"
    DISPATCHED = "dispatched"
    SETTLED = "settled"
    ESTIMATED = "estimated"
    RELEASED = "released"


UNKNOWN_OUTCOME = one_of("state", [AttemptState.DISPATCHED.value, AttemptState.ESTIMATED.value])
"""The call was sent, and what it cost is not known."""


class RequestClass(models.TextChoices):
    """How demanding a request is; `cost_app.recommendations.classes` has the rules."""

    SIMPLE = "simple"
    COMPLEX = "complex"
    CREATIVE = "creative"


class UsageIssue(models.TextChoices):
    """What is doubtful about a booked amount. If there are several issues, the one that explains the others."""

    NO_USAGE = "no_usage", "The provider sent no usable token counts"
    TIER_UNPRICED = "tier_unpriced", "The service tier that answered has no price"
    TOOL_UNPRICED = "tool_unpriced", "A tool that was used has no fee"
    COST_DIFFERS = "cost_differs", "The provider reports another cost"


class BookedCost(models.TextChoices):
    """Which of two costs is booked if a provider reports its own."""

    OURS = "ours", "computed from the price book"
    REPORTED = "reported", "as reported by the provider"


class UsageColumns(models.Model):
    """What a call used, as in `TokenUsage`. Token classes are disjoint, except for two that are parts of others."""

    input_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(
        default=0, verbose_name="1-hour cache write tokens", help_text="the part of the cache writes that lives 1 hour"
    )
    output_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0, help_text="a part of the output")
    tier = models.CharField(max_length=16, default="standard", help_text="the service tier that answered")
    tool_uses = models.JSONField(default=dict, help_text="uses by tool, of tools that are billed by the use")
    reported_nano = models.BigIntegerField(null=True, help_text="the cost that the provider reported")

    class Meta:
        abstract = True

    @property
    def usage(self) -> TokenUsage:
        """The columns together."""
        return usage_in({name: getattr(self, name) for name in USAGE_COLUMNS})


def token_columns(usage: TokenUsage) -> dict[str, int]:
    """The token classes of a usage as columns; every one of them adds up."""
    return {
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
    }


def usage_columns(usage: TokenUsage) -> dict[str, Any]:
    """A usage as the columns of an attempt or a ledger row."""
    return {
        **token_columns(usage),
        "tier": usage.tier,
        "tool_uses": dict(usage.tool_uses),
        "reported_nano": usage.reported_nano,
    }


USAGE_COLUMNS = tuple(usage_columns(TokenUsage()))


def usage_in(columns: Mapping[str, Any]) -> TokenUsage:
    """The reverse of `usage_columns`. Reasoning and the reported cost may be left out: they change no price."""
    return TokenUsage(
        input=columns["input_tokens"],
        cache_read=columns["cache_read_tokens"],
        cache_write=columns["cache_write_tokens"] - columns["cache_write_1h_tokens"],
        output=columns["output_tokens"],
        reasoning=columns.get("reasoning_tokens", 0),
        cache_write_1h=columns["cache_write_1h_tokens"],
        tool_uses=columns["tool_uses"],
        tier=columns["tier"],
        reported_nano=columns.get("reported_nano"),
    )


class ProviderBilling(models.Model):
    """How a provider's calls are booked, for all organizations: they share the provider's account."""

    provider = models.CharField(max_length=32, unique=True)
    booked_cost = models.CharField(
        max_length=16,
        choices=BookedCost.choices,
        default=BookedCost.OURS,
        help_text="for calls whose cost the provider reports; the other cost is stored next to it",
    )
    changed_by = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "provider billing"

    def __str__(self) -> str:
        return self.provider


class Attempt(TenantModel, UsageColumns):
    """One provider call and its money. `request_id` is the queued request's id, None for a call that had no request."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request_id = models.UUIDField(null=True)
    number = models.PositiveSmallIntegerField(default=1, help_text="1 for the first attempt of a request")
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    price = models.ForeignKey(
        ModelPrice, null=True, on_delete=models.PROTECT, related_name="+", help_text="None: the model has no price"
    )
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+")
    user_ref = models.CharField(max_length=128, blank=True)
    tags = models.JSONField(default=list)
    priority = models.PositiveSmallIntegerField(null=True, help_text="the queued request's")
    request_class = models.CharField(max_length=16, choices=RequestClass.choices, blank=True)
    external_id = models.CharField(  # noqa: DJ001 - NULL may come often under the unique constraint
        max_length=128, null=True, help_text="the reporter's own, for usage from outside"
    )
    max_tokens = models.PositiveIntegerField(default=0, help_text="the limit of the answer that was sent; 0: unknown")
    prompt_digest = models.CharField(max_length=16, blank=True, help_text="equal for calls with the same prompt")
    prefix_digest = models.CharField(max_length=16, blank=True, help_text="equal for calls with the same prefix")
    prefix_bytes = models.PositiveIntegerField(default=0, help_text="length of that prefix, all but the last turn")
    state = models.CharField(max_length=16, choices=AttemptState.choices, default=AttemptState.RESERVED)
    bound_nano = models.BigIntegerField(help_text="maximum cost of the call")
    cost_nano = models.BigIntegerField(default=0, help_text="what the ledger holds for it")
    raw_usage = models.JSONField(default=dict, help_text="the provider's own counts, usable or not")
    usage_issue = models.CharField(max_length=16, choices=UsageIssue.choices, blank=True)
    error_code = models.CharField(max_length=32, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    dispatched_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True, help_text="when the provider must have ended the call at the latest")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request_id", "number"], name="attempt_number_once_a_request"),
            models.UniqueConstraint(fields=["organization", "external_id"], name="external_usage_once"),
            models.CheckConstraint(condition=models.Q(bound_nano__gte=0), name="attempt_bound_not_negative"),
        ]
        indexes = [
            models.Index(fields=["deadline_at"], name="attempt_unknown_outcome", condition=UNKNOWN_OUTCOME),
            models.Index(fields=["organization", "created_at"], name="attempt_by_time"),
            models.Index(
                fields=["organization", "provider", "model", "-created_at"],
                name="attempt_failed",
                condition=~models.Q(error_code=""),
            ),
            models.Index(
                fields=["organization", "created_at"], name="attempt_unpriced", condition=models.Q(price=None)
            ),
            models.Index(
                fields=["organization", "created_at"],
                name="attempt_usage_issue",
                condition=~models.Q(usage_issue=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} {self.state}"

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"

    @property
    def as_sent(self) -> ProviderAttempt:
        """The call, as the provider's adapter expects it."""
        return ProviderAttempt(self.id, self.organization_id, self.provider, self.model)


class LedgerKind(models.TextChoices):
    """Why a row was written."""

    USAGE = "usage"
    FAILED = "failed"
    CACHE_HIT = "cache_hit"
    ADJUST = "adjust"
    OVERRUN = "overrun"
    EXTERNAL = "external"
    MANUAL = "manual"


class LedgerEntry(TenantModel, UsageColumns):
    """One movement of money in nano-dollars. Append-only: triggers in both databases refuse UPDATE and DELETE."""

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=16, choices=LedgerKind.choices)
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.PROTECT, related_name="ledger_entries")
    request_id = models.UUIDField(null=True)
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+")
    user_ref = models.CharField(max_length=128, blank=True)
    tags = models.JSONField(default=list)
    priority = models.PositiveSmallIntegerField(null=True)
    nano = models.BigIntegerField(help_text="nano-dollars; negative if a correction gives money back")
    saved_nano = models.BigIntegerField(default=0, help_text="what a cache hit would have cost")
    calls = models.SmallIntegerField(default=0, help_text="1 if the row represents a call or a cache hit")
    errors = models.SmallIntegerField(default=0, help_text="1 if that call failed")
    latency_ms = models.PositiveIntegerField(null=True)
    estimated = models.BooleanField(
        default=False, help_text="what the provider charged is unknown: the bound or a local token count was booked"
    )
    repricing = models.ForeignKey(Repricing, null=True, on_delete=models.PROTECT, related_name="entries")
    note = models.CharField(max_length=200, blank=True, help_text="why, for a manual row")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["attempt", "kind"], condition=models.Q(repricing=None), name="one_entry_a_kind_and_attempt"
            ),
            models.UniqueConstraint(fields=["attempt", "repricing"], name="repriced_once_a_run"),
        ]
        indexes = [
            models.Index(fields=["organization", "at"], name="ledger_by_time"),
            models.Index(fields=["organization", "at"], name="overrun_by_time", condition=models.Q(kind="overrun")),
        ]
        verbose_name_plural = "ledger entries"

    def __str__(self) -> str:
        return f"{self.kind} ${dollars(self.nano)}"
