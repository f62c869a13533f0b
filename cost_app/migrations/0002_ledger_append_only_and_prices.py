from django.db import migrations

from aiinfra.append_only import append_only
from cost_app.prices.shipped import add_shipped_prices


class Migration(migrations.Migration):
    dependencies = [("cost_app", "0001_initial")]
    operations = [
        append_only("cost_app_ledgerentry"),
        append_only("cost_app_monthclose"),
        append_only("cost_app_modelprice", set_once="effective_to", skips_duplicates=True),
        migrations.RunPython(
            lambda apps, _editor: add_shipped_prices(apps.get_model("cost_app", "ModelPrice")),
            migrations.RunPython.noop,
        ),
    ]
