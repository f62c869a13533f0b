from importlib import import_module

from django.db import migrations

from aiinfra.names import normal_name

mark_sums_for_a_rebuild = import_module("cost_app.migrations.0005_performance_and_provider_limits").mark_sums_for_a_rebuild


def normalize_budgets(apps, _editor):
    """Budgets of users and tags get the names that calls have; where there is one of that name already, it stays."""
    budgets = apps.get_model("cost_app", "Budget").objects
    for budget in budgets.filter(scope__in=["user", "tag"]).order_by("-is_active", "id"):
        name = normal_name(budget.scope_value)
        same = budgets.filter(
            organization=budget.organization_id, period=budget.period, scope=budget.scope, scope_value=name
        )
        if name and name != budget.scope_value and not same.filter(is_active=True).exists():
            budgets.filter(id=budget.id).update(scope_value=name)


class Migration(migrations.Migration):
    """The sums by user and tag are made again, so that all spellings of a name are in one."""

    dependencies = [("cost_app", "0011_windows_from_the_ledger")]
    operations = [
        migrations.RunPython(normalize_budgets, migrations.RunPython.noop),
        migrations.RunPython(mark_sums_for_a_rebuild, migrations.RunPython.noop),
    ]
