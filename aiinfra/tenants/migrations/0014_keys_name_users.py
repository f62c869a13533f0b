import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SENDS = {"chat:write", "queue:write", "cache:write", "usage:write"}
ROLES = {"operator", "finance", "admin", "owner"}


def keep_naming_users(apps, _editor):
    """Keys could name users with every operation that takes `userId`; they keep that as a scope."""
    keys = apps.get_model("tenants", "ApiKey").objects
    for key in keys.filter(role__in=ROLES).iterator():
        if SENDS & set(key.scopes) and "user:name" not in key.scopes:
            keys.filter(pk=key.pk).update(scopes=sorted([*key.scopes, "user:name"]))


class Migration(migrations.Migration):
    """Naming a user is a scope; a person who created keys is deactivated, never deleted."""

    dependencies = [("tenants", "0013_staff_rights")]
    operations = [
        migrations.AlterField(
            model_name="apikey",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(keep_naming_users, migrations.RunPython.noop),
    ]
