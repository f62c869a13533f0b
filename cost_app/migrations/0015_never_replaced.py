from django.db import migrations

from aiinfra.append_only import never_replaced


class Migration(migrations.Migration):
    """SQLite's INSERT OR REPLACE passed the delete triggers."""

    dependencies = [("cost_app", "0014_decided_aliases_stay")]
    operations = [
        never_replaced("cost_app_ledgerentry"),
        never_replaced("cost_app_monthclose"),
        never_replaced("cost_app_modelprice", skips_duplicates=True),
        never_replaced("cost_app_toolfee", skips_duplicates=True),
        never_replaced("cost_app_modelalias", skips_duplicates=True),
    ]
