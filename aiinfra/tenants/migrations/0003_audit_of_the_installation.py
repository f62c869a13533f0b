import django.db.models.deletion
from django.db import migrations, models

from aiinfra.append_only import append_only, create_triggers, drop_triggers

TABLE = "tenants_auditevent"


def forget_the_installation(_apps, editor):
    """The column requires an organization again after this."""
    editor.execute(f"DELETE FROM {TABLE} WHERE organization_id IS NULL")


class Migration(migrations.Migration):
    """Events without an organization belong to the installation. SQLite rebuilds the table, which drops the triggers.
    """

    dependencies = [("tenants", "0002_audit_append_only")]
    operations = [
        migrations.RunPython(
            lambda _apps, editor: drop_triggers(editor, TABLE),
            lambda _apps, editor: create_triggers(editor, TABLE),
        ),
        migrations.AlterField(
            model_name="auditevent",
            name="organization",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.organization",
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_the_installation),
        append_only(TABLE),
    ]
