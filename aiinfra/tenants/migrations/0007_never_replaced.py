from django.db import migrations

from aiinfra.append_only import never_replaced


class Migration(migrations.Migration):
    """SQLite's INSERT OR REPLACE passed the delete trigger."""

    dependencies = [("tenants", "0006_key_lines")]
    operations = [never_replaced("tenants_auditevent")]
