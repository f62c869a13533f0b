from django.db import migrations, models

KINDS = [
    ("budget_warning", "Budget Warning"),
    ("budget_exceeded", "Budget Exceeded"),
    ("cost_spike", "Cost Spike"),
    ("unusual_usage", "Unusual Usage"),
    ("price_missing", "Price Missing"),
    ("overrun", "Overrun"),
    ("usage_missing", "Usage Missing"),
    ("cost_differs", "Cost Differs"),
    ("system_health", "System Health"),
    ("provider_down", "Provider Down"),
    ("queue_latency", "Queue Latency"),
    ("error_rate", "Error Rate"),
    ("queue_depth", "Queue Depth"),
]


class Migration(migrations.Migration):
    """Alerts for providers that send no usable usage, or report another cost."""

    dependencies = [("cost_app", "0008_provider_billing")]
    operations = [
        migrations.AlterField(
            model_name="alert", name="kind", field=models.CharField(choices=KINDS, max_length=32)
        ),
    ]
