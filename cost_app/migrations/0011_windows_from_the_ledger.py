from django.db import migrations, models
from django.db.models import F
from django.utils import timezone


NANO_MAX = 10**17 - 1


def keep_rollovers(apps, _editor):
    """Windows now have a maximum carry-over: past windows keep what they carried over."""
    windows = apps.get_model("cost_app", "BudgetWindow").objects
    windows.update(carries_at_most_nano=F("rollover_nano"))
    running = windows.filter(ends_at__gt=timezone.now(), budget__rollover_unused=True)
    for window in running.select_related("budget"):
        cap = window.budget.rollover_cap_nano
        windows.filter(id=window.id).update(carries_at_most_nano=NANO_MAX if cap is None else cap)


class Migration(migrations.Migration):

    dependencies = [
        ('cost_app', '0010_prices_as_billed'),
    ]

    operations = [
        migrations.AddField(
            model_name='budget',
            name='counts_from',
            field=models.DateTimeField(help_text='spending before this does not count; NULL: all counts', null=True),
        ),
        migrations.AddField(
            model_name='budget',
            name='holds_since',
            field=models.DateTimeField(help_text='calls admitted before this have no hold, and count by the ledger; NULL: all have one', null=True),
        ),
        migrations.AddField(
            model_name='budgetwindow',
            name='carries_at_most_nano',
            field=models.BigIntegerField(default=0, help_text='cap of the rollover; 0: nothing'),
        ),
        migrations.AddField(
            model_name='budgetwindow',
            name='opened_to',
            field=models.DateTimeField(help_text='until when a call may be a part of the opening sum', null=True),
        ),
        migrations.AddField(
            model_name='budgetwindow',
            name='opening_nano',
            field=models.BigIntegerField(default=0, help_text="of the committed, what calls without a hold have cost: the ledger's sum"),
        ),
        migrations.AddField(
            model_name='budgetwindow',
            name='refused_calls',
            field=models.BigIntegerField(default=0, help_text='calls that did not fit'),
        ),
        migrations.AddField(
            model_name='budgetwindow',
            name='refused_nano',
            field=models.BigIntegerField(default=0, help_text='what the last of them could have cost'),
        ),
        migrations.RunPython(keep_rollovers, migrations.RunPython.noop),
    ]
