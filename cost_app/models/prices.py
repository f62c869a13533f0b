"""The price book: versions, which are never edited, and proposals, which a person approves or rejects."""

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

NOT_NEGATIVE = [MinValueValidator(0)]


class PriceTier(models.TextChoices):
    """How fast the provider has to answer, and what that costs."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"


class PriceColumns(models.Model):
    """What one (provider, model, tier) costs, in nano-dollars per million tokens.

    A row with `window` holds only in these hours of the week; one without holds in all others. `long_prompts` holds the
    prices of long prompts, by ascending `above`: `[{"above": 200000, "input": 6000000000, "cache_read": ...,
    "cache_write": ..., "output": ..., "cache_write_1h": ... or null}]`. The last step whose `above` is less than the
    prompt's tokens prices every token of the call.
    """

    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    tier = models.CharField(max_length=16, choices=PriceTier.choices, default=PriceTier.STANDARD)
    window_name = models.CharField(
        max_length=32, blank=True, help_text="for example, peak; empty for the price of all other hours"
    )
    window = models.JSONField(
        default=list,
        blank=True,
        help_text='in UTC; [{"weekdays": [0, 4], "from": "01:00", "to": "04:00"}] is Monday and Friday',
    )
    input = models.BigIntegerField(validators=NOT_NEGATIVE)
    cache_read = models.BigIntegerField(validators=NOT_NEGATIVE)
    cache_write = models.BigIntegerField(validators=NOT_NEGATIVE)
    cache_write_1h = models.BigIntegerField(
        null=True,
        blank=True,
        validators=NOT_NEGATIVE,
        help_text="writes to a cache that lives 1 hour; empty: twice the input price",
    )
    output = models.BigIntegerField(validators=NOT_NEGATIVE)
    long_prompts = models.JSONField(default=list, blank=True, help_text="prices by prompt length, in ascending order")
    source = models.CharField(max_length=200, help_text="where and when the price was found")

    class Meta:
        abstract = True


class ModelPrice(PriceColumns):
    """One version. Never edited: a change is a new version. Only its end may be set, once."""

    effective_from = models.DateTimeField(default=timezone.now)
    effective_to = models.DateTimeField(null=True, blank=True)
    added_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "model", "tier", "window_name", "effective_from"], name="one_price_at_a_time"
            ),
            models.CheckConstraint(
                condition=models.Q(input__gte=0, cache_read__gte=0, cache_write__gte=0, output__gte=0),
                name="price_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(cache_write_1h=None) | models.Q(cache_write_1h__gte=0),
                name="cache_write_1h_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} from {self.effective_from:%Y-%m-%d}"


class ProposalState(models.TextChoices):
    """The status of a proposal."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


class PriceProposal(PriceColumns):
    """A price that is new or different in a source. It enters the book when a person approves it."""

    effective_from = models.DateTimeField()
    replaces = models.ForeignKey(ModelPrice, null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=ProposalState.choices, default=ProposalState.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    proposed_by = models.CharField(max_length=200, blank=True, help_text="empty if a price list proposed it")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "model", "tier", "window_name"],
                condition=models.Q(state="waiting"),
                name="one_waiting_proposal",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}, {self.state}"


class Decision(models.Model):
    """A line of the price book that applies once it is approved, with who proposed it and who decided."""

    proposed_by = models.CharField(max_length=200, blank=True, help_text="empty if no person proposed it")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True


class ToolFee(Decision):
    """What a provider charges for one use of a tool, besides tokens. Never edited: a change is a new version."""

    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128, blank=True, help_text="empty for the provider's other models")
    tool = models.CharField(max_length=64, help_text="as in the usage, for example web_search")
    nano_per_use = models.BigIntegerField(validators=NOT_NEGATIVE, help_text="nano-dollars for one use")
    effective_from = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=200, help_text="where and when the fee was found")
    state = models.CharField(max_length=16, choices=ProposalState.choices, default=ProposalState.APPROVED)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "model", "tool"], condition=models.Q(state="waiting"), name="one_waiting_fee"
            ),
            models.UniqueConstraint(
                fields=["provider", "model", "tool", "effective_from"],
                condition=models.Q(state="approved"),
                name="one_approved_fee_at_a_time",
            ),
            models.CheckConstraint(condition=models.Q(nano_per_use__gte=0), name="fee_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model or '*'} {self.tool} from {self.effective_from:%Y-%m-%d}, {self.state}"


class ModelAlias(Decision):
    """A name that a provider bills at another model's price. It counts once staff has approved it.

    A later row replaces an earlier one from `effective_from` on; without a `model` it ends the alias.
    """

    provider = models.CharField(max_length=32)
    alias = models.CharField(max_length=128)
    model = models.CharField(max_length=128, blank=True, help_text="the priced model; empty ends the alias")
    effective_from = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=200, help_text="why the two names are one model")
    state = models.CharField(max_length=16, choices=ProposalState.choices, default=ProposalState.WAITING)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "model aliases"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "alias"], condition=models.Q(state="waiting"), name="one_waiting_alias"
            ),
            models.UniqueConstraint(
                fields=["provider", "alias", "effective_from"],
                condition=models.Q(state="approved"),
                name="one_alias_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.alias} as {self.model or 'nothing'}, {self.state}"


class Repricing(models.Model):
    """One correction of a period's prices. Its adjustment rows in the ledger refer to it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128, blank=True, help_text="empty for every model of the provider")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model or '*'} {self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"


class ProviderLimit(models.Model):
    """How many calls a provider accepts per minute, and its expected latency. Like the price book, one for all
    organizations, because they share the provider's account."""

    provider = models.CharField(max_length=32)
    model = models.CharField(
        max_length=128, blank=True, help_text="empty: the provider's other models, which share the limit"
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="calls per minute; empty for no limit"
    )
    expected_latency_ms = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        verbose_name="expected latency, ms",
        help_text="assumed until enough calls have been measured",
    )
    changed_by = models.CharField(
        max_length=200,
        blank=True,
        help_text="empty: as shipped; a shipped limit applies to the provider itself, not to the sandbox",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "model"], name="one_provider_limit"),
            models.CheckConstraint(
                condition=models.Q(requests_per_minute=None) | models.Q(requests_per_minute__gte=1),
                name="provider_limit_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """`provider/model`, or `provider/` for the provider's other models."""
        return f"{self.provider}/{self.model}"
