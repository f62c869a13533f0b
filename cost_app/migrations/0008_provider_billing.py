from django.db import migrations, models


class Migration(migrations.Migration):
    """Which cost is booked where a provider reports its own."""

    dependencies = [("cost_app", "0007_usage_as_billed")]
    operations = [
        migrations.CreateModel(
            name="ProviderBilling",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(max_length=32, unique=True)),
                (
                    "booked_cost",
                    models.CharField(
                        choices=[("ours", "computed from the price book"), ("reported", "as reported by the provider")],
                        default="ours",
                        help_text="for calls whose cost the provider reports; the other cost is stored next to it",
                        max_length=16,
                    ),
                ),
                ("changed_by", models.CharField(blank=True, max_length=200)),
            ],
            options={"verbose_name_plural": "provider billing"},
        ),
    ]
