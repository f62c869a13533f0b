from importlib import import_module

from django.db import migrations

from aiinfra.names import normalize_stored

mark_sums_for_a_rebuild = import_module("cost_app.migrations.0005_performance_and_provider_limits").mark_sums_for_a_rebuild
normalize_budgets = import_module("cost_app.migrations.0012_normal_names").normalize_budgets


def normalize_users(apps, editor):
    """Attempts get the names that new calls have; sums are made again only if one differed."""
    if normalize_stored(apps.get_model("cost_app", "Attempt").objects, "user_ref"):
        mark_sums_for_a_rebuild(apps, editor)


class Migration(migrations.Migration):
    """Invisible characters and repeated spaces inside a name no longer make another name."""

    dependencies = [("cost_app", "0020_second_person_for_fees_and_aliases")]
    operations = [
        migrations.RunPython(normalize_budgets, migrations.RunPython.noop),
        migrations.RunPython(normalize_users, migrations.RunPython.noop),
    ]
