from django.db import migrations

from aiinfra.names import normalize_stored


class Migration(migrations.Migration):
    """Erasures and legal holds name users in the normal form."""

    dependencies = [("queue_app", "0007_archived_months")]
    operations = [
        migrations.RunPython(
            lambda apps, _editor: normalize_stored(apps.get_model("queue_app", "AIRequest").objects, "user_ref"),
            migrations.RunPython.noop,
        )
    ]
