import django.db.models.deletion
from django.db import migrations, models

OWNER = models.ForeignKey(
    blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.organization"
)


def forget_the_installation(apps, _editor):
    """The columns require an organization again after this."""
    for name in ("Delivery", "Channel"):
        apps.get_model("notifications", name)._base_manager.filter(organization=None).delete()


class Migration(migrations.Migration):
    """Channels without an organization belong to the installation; messages of one topic keep their order."""

    dependencies = [("notifications", "0001_initial"), ("tenants", "0003_audit_of_the_installation")]
    operations = [
        migrations.AddField(
            model_name="delivery",
            name="topic",
            field=models.CharField(
                blank=True,
                default="",
                help_text="a channel receives the messages of one topic in the order they were written",
                max_length=64,
            ),
            preserve_default=False,
        ),
        migrations.AlterField(model_name="channel", name="organization", field=OWNER.clone()),
        migrations.AlterField(model_name="delivery", name="organization", field=OWNER.clone()),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(state__in=["pending", "failed"]),
                fields=["channel", "topic"],
                name="delivery_in_line",
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_the_installation),
    ]
