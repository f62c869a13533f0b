import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Minutes are counted for each kind of event."""

    dependencies = [("security_log", "0001_log")]
    operations = [
        migrations.DeleteModel("CountedMinute"),
        migrations.CreateModel(
            name="CountedMinute",
            fields=[
                (
                    "name",
                    models.CharField(
                        primary_key=True,
                        serialize=False,
                        max_length=100,
                        help_text="the kind of event, and minutes since 1970",
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
    ]
