from django.db import migrations

from aiinfra.names import normalize_stored


class Migration(migrations.Migration):
    """Erasures name users in the normal form."""

    dependencies = [("cache_app", "0003_indexes_of_what_is_waiting")]
    operations = [
        migrations.RunPython(
            lambda apps, _editor: normalize_stored(apps.get_model("cache_app", "CacheHit").objects, "user_ref"),
            migrations.RunPython.noop,
        )
    ]
