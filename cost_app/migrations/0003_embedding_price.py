from django.db import migrations

from cost_app.prices.shipped import add_shipped_prices


class Migration(migrations.Migration):
    """The model that turns texts into vectors came into the shipped prices after the first version of the book."""

    dependencies = [("cost_app", "0002_ledger_append_only_and_prices")]
    operations = [
        migrations.RunPython(
            lambda apps, _editor: add_shipped_prices(apps.get_model("cost_app", "ModelPrice")),
            migrations.RunPython.noop,
        ),
    ]
