from django.db import migrations


def begin_the_log(apps, _editor):
    """The head exists before the first event, so that each event costs the same."""
    apps.get_model("security_log", "ChainHead").objects.get_or_create(name="security")


class Migration(migrations.Migration):
    """The security log begins."""

    dependencies = [("security_log", "0002_counted_by_kind")]
    operations = [migrations.RunPython(begin_the_log, migrations.RunPython.noop)]
