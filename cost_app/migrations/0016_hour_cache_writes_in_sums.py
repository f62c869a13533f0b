from django.db import migrations, models


def mark_sums_for_a_rebuild(apps, _editor):
    """Existing sums lack the new column. `follow_time_zones` rebuilds those of organizations with 1-hour cache writes.

    It rebuilds sums whose zone is not the organization's, so they get another name of UTC.
    """
    entries = apps.get_model("cost_app", "LedgerEntry").objects.filter(cache_write_1h_tokens__gt=0)
    policies = apps.get_model("cost_app", "CostPolicy").objects.exclude(usage_time_zone="").filter(
        organization_id__in=set(entries.order_by().values_list("organization_id", flat=True).distinct())
    )
    policies.exclude(organization__time_zone="Etc/UTC").update(usage_time_zone="Etc/UTC")
    policies.filter(organization__time_zone="Etc/UTC").update(usage_time_zone="UTC")


class Migration(migrations.Migration):

    dependencies = [
        ('cost_app', '0015_never_replaced'),
    ]

    operations = [
        migrations.AddField(
            model_name='usageday',
            name='cache_write_1h_tokens',
            field=models.BigIntegerField(default=0, help_text='part of the cache writes'),
        ),
        migrations.AddField(
            model_name='usagehour',
            name='cache_write_1h_tokens',
            field=models.BigIntegerField(default=0, help_text='part of the cache writes'),
        ),
        migrations.RunPython(mark_sums_for_a_rebuild, migrations.RunPython.noop),
    ]
