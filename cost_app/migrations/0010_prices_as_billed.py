import django.core.validators
from django.db import migrations, models
from django.utils import timezone

from aiinfra.append_only import append_only, create_triggers, drop_triggers
from cost_app.prices.shipped import add_shipped_aliases, add_shipped_fees

PRICES = "cost_app_modelprice"
CLASSES = ("input", "cache_read", "cache_write", "output")
NOT_NEGATIVE = [django.core.validators.MinValueValidator(0)]
TIERS = [("standard", "Standard"), ("batch", "Batch"), ("flex", "Flex"), ("priority", "Priority")]
STATES = [("waiting", "Waiting"), ("approved", "Approved"), ("rejected", "Rejected")]


def threshold_to_steps(apps, _editor):
    """One threshold becomes the only step."""
    for name in ("ModelPrice", "PriceProposal"):
        for row in apps.get_model("cost_app", name).objects.exclude(long_context_from=None):
            amounts = {each: getattr(row, f"long_{each}") for each in CLASSES}
            row.long_prompts = [{"above": row.long_context_from, **amounts, "cache_write_1h": None}]
            row.save(update_fields=["long_prompts"])


def steps_to_threshold(apps, _editor):
    """The old columns have room for the first step alone."""
    for name in ("ModelPrice", "PriceProposal"):
        for row in apps.get_model("cost_app", name).objects.exclude(long_prompts=[]):
            step = row.long_prompts[0]
            row.long_context_from = step["above"]
            for each in CLASSES:
                setattr(row, f"long_{each}", step[each])
            row.save()


def columns_of(model):
    """What changes in the table of a price: the new columns."""
    return [
        migrations.AddField(
            model,
            "cache_write_1h",
            models.BigIntegerField(
                null=True,
                blank=True,
                validators=NOT_NEGATIVE,
                help_text="writes to a cache that lives 1 hour; empty: twice the input price",
            ),
        ),
        migrations.AddField(
            model,
            "long_prompts",
            models.JSONField(default=list, blank=True, help_text="prices by prompt length, in ascending order"),
        ),
        migrations.AlterField(model, "tier", models.CharField(max_length=16, choices=TIERS, default="standard")),
    ]


def old_columns_of(model):
    names = ("long_context_from", *(f"long_{each}" for each in CLASSES))
    return [migrations.RemoveField(model, name) for name in names]


class Migration(migrations.Migration):
    """Prices know 1-hour cache writes and any number of prompt lengths; the book knows tool fees and aliases."""

    dependencies = [("cost_app", "0009_alerts_about_usage")]
    operations = [
        migrations.RunPython(
            lambda _apps, editor: drop_triggers(editor, PRICES),
            lambda _apps, editor: create_triggers(editor, PRICES, "effective_to"),
        ),
        *columns_of("modelprice"),
        *columns_of("priceproposal"),
        migrations.RunPython(threshold_to_steps, steps_to_threshold),
        migrations.RemoveConstraint("modelprice", "long_prices_complete"),
        *old_columns_of("modelprice"),
        *old_columns_of("priceproposal"),
        migrations.AddConstraint(
            "modelprice",
            models.CheckConstraint(
                condition=models.Q(cache_write_1h=None) | models.Q(cache_write_1h__gte=0),
                name="cache_write_1h_not_negative",
            ),
        ),
        append_only(PRICES, set_once="effective_to", skips_duplicates=True),
        migrations.CreateModel(
            name="ToolFee",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(max_length=32)),
                (
                    "model",
                    models.CharField(blank=True, help_text="empty for the provider's other models", max_length=128),
                ),
                ("tool", models.CharField(help_text="as in the usage, for example web_search", max_length=64)),
                (
                    "nano_per_use",
                    models.BigIntegerField(help_text="nano-dollars for one use", validators=NOT_NEGATIVE),
                ),
                ("effective_from", models.DateTimeField(default=timezone.now)),
                ("source", models.CharField(help_text="where and when the fee was found", max_length=200)),
                ("added_by", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider", "model", "tool", "effective_from"), name="one_fee_at_a_time"
                    ),
                    models.CheckConstraint(condition=models.Q(("nano_per_use__gte", 0)), name="fee_not_negative"),
                ]
            },
        ),
        migrations.CreateModel(
            name="ModelAlias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(max_length=32)),
                ("alias", models.CharField(max_length=128)),
                (
                    "model",
                    models.CharField(blank=True, help_text="the priced model; empty ends the alias", max_length=128),
                ),
                ("effective_from", models.DateTimeField(default=timezone.now)),
                ("source", models.CharField(help_text="why the two names are one model", max_length=200)),
                ("state", models.CharField(choices=STATES, default="waiting", max_length=16)),
                ("created_at", models.DateTimeField(default=timezone.now)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decided_by", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "waiting")),
                        fields=("provider", "alias"),
                        name="one_waiting_alias",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "approved")),
                        fields=("provider", "alias", "effective_from"),
                        name="one_alias_at_a_time",
                    ),
                ]
            },
        ),
        append_only("cost_app_toolfee", skips_duplicates=True),
        migrations.RunPython(
            lambda apps, _editor: add_shipped_fees(apps.get_model("cost_app", "ToolFee")), migrations.RunPython.noop
        ),
        migrations.RunPython(
            lambda apps, _editor: add_shipped_aliases(apps.get_model("cost_app", "ModelAlias")),
            migrations.RunPython.noop,
        ),
    ]
