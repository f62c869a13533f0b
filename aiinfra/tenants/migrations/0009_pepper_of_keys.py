from django.conf import settings
from django.db import migrations, models

from aiinfra.tenants.peppers import id_of


def name_peppers(apps, _editor):
    """Earlier versions had only one pepper."""
    keys = apps.get_model("tenants", "ApiKey")._base_manager
    keys.update(pepper_id=id_of(settings.API_KEY_PEPPER))


class Migration(migrations.Migration):
    """API keys name the pepper that they were hashed with, so that it can be replaced."""

    dependencies = [("tenants", "0008_demo_people_without_known_password")]
    operations = [
        migrations.AddField(
            "apikey",
            "pepper_id",
            models.CharField(default="", editable=False, help_text="names the pepper of the digest", max_length=16),
            preserve_default=False,
        ),
        migrations.RunPython(name_peppers, migrations.RunPython.noop),
    ]
