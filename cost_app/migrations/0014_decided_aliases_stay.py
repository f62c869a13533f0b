from django.db import migrations

from aiinfra.append_only import append_only


class Migration(migrations.Migration):
    """A decided alias has priced calls: the database refuses to change or delete it."""

    dependencies = [("cost_app", "0013_tools_without_a_fee")]
    operations = [append_only("cost_app_modelalias", only_where="OLD.state <> 'waiting'", skips_duplicates=True)]
