import django.db.models.deletion
from django.db import migrations, models


def forget_amounts(apps, _editor):
    """What a call without a price costs is not known: it was kept as 0."""
    apps.get_model("cost_app", "Alert")._base_manager.filter(kind="price_missing").update(current_nano=None)


def undo(apps, _editor):
    """The columns are about to demand an organization and an amount again."""
    alerts = apps.get_model("cost_app", "Alert")._base_manager
    alerts.filter(organization=None).delete()
    alerts.filter(current_nano=None).update(current_nano=0)


class Migration(migrations.Migration):
    """Alerts without an organization or an amount, and what the channels are owed when one is resolved."""

    dependencies = [("cost_app", "0003_embedding_price"), ("tenants", "0003_audit_of_the_installation")]
    operations = [
        migrations.AddField(
            model_name="alert",
            name="told_channels",
            field=models.JSONField(default=list, help_text="IDs of the channels to notify when it is resolved"),
        ),
        migrations.AlterField(
            model_name="alert",
            name="current_nano",
            field=models.BigIntegerField(help_text="NULL if the alert is not about an amount", null=True),
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("budget_warning", "Budget Warning"),
                    ("budget_exceeded", "Budget Exceeded"),
                    ("cost_spike", "Cost Spike"),
                    ("unusual_usage", "Unusual Usage"),
                    ("price_missing", "Price Missing"),
                    ("overrun", "Overrun"),
                    ("system_health", "System Health"),
                    ("provider_down", "Provider Down"),
                    ("queue_latency", "Queue Latency"),
                    ("error_rate", "Error Rate"),
                    ("queue_depth", "Queue Depth"),
                ],
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="organization",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.organization",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(condition=models.Q(resolved_at=None), fields=["organization"], name="alert_live"),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(organization=None), fields=["cause"], name="one_installation_alert_per_cause"
            ),
        ),
        migrations.RunPython(forget_amounts, undo),
    ]
