from django.db import migrations, models

from aiinfra.append_only import append_only, create_triggers, drop_triggers

LEDGER = "cost_app_ledgerentry"


def usage_columns(model_name):
    columns = {
        "cache_write_1h_tokens": models.BigIntegerField(
            default=0,
            verbose_name="1-hour cache write tokens",
            help_text="the part of the cache writes that lives 1 hour",
        ),
        "tier": models.CharField(default="standard", max_length=16, help_text="the service tier that answered"),
        "tool_uses": models.JSONField(default=dict, help_text="uses by tool, of tools that are billed by the use"),
        "reported_nano": models.BigIntegerField(null=True, help_text="the cost that the provider reported"),
    }
    return [
        *(migrations.AddField(model_name=model_name, name=name, field=field) for name, field in columns.items()),
        migrations.AlterField(
            model_name=model_name,
            name="reasoning_tokens",
            field=models.BigIntegerField(default=0, help_text="a part of the output"),
        ),
    ]


class Migration(migrations.Migration):
    """What providers bill beside plain tokens. SQLite rebuilds the ledger's table, which drops its triggers."""

    dependencies = [
        ("cost_app", "0006_export_deliveries"),
        ("tenants", "0003_audit_of_the_installation"),
    ]
    operations = [
        migrations.RunPython(
            lambda _apps, editor: drop_triggers(editor, LEDGER),
            lambda _apps, editor: create_triggers(editor, LEDGER),
        ),
        *usage_columns("attempt"),
        *usage_columns("ledgerentry"),
        migrations.AlterField(
            model_name="ledgerentry",
            name="estimated",
            field=models.BooleanField(
                default=False,
                help_text="what the provider charged is unknown: the bound or a local token count was booked",
            ),
        ),
        append_only(LEDGER),
        migrations.AlterField(
            model_name="attempt",
            name="raw_usage",
            field=models.JSONField(default=dict, help_text="the provider's own counts, usable or not"),
        ),
        migrations.AddField(
            model_name="attempt",
            name="usage_issue",
            field=models.CharField(
                blank=True,
                choices=[
                    ("no_usage", "The provider sent no usable token counts"),
                    ("tier_unpriced", "The service tier that answered has no price"),
                    ("cost_differs", "The provider reports another cost"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("usage_issue", ""), _negated=True),
                fields=["organization", "created_at"],
                name="attempt_usage_issue",
            ),
        ),
    ]
