from django.db import migrations, models

ISSUES = [
    ("no_usage", "The provider sent no usable token counts"),
    ("tier_unpriced", "The service tier that answered has no price"),
    ("tool_unpriced", "A tool that was used has no fee"),
    ("cost_differs", "The provider reports another cost"),
]


class Migration(migrations.Migration):
    """A call that used a tool without a fee is marked."""

    dependencies = [("cost_app", "0012_normal_names")]
    operations = [
        migrations.AlterField(
            model_name="attempt",
            name="usage_issue",
            field=models.CharField(blank=True, choices=ISSUES, max_length=16),
        ),
    ]
