from django.db import migrations, models

from aiinfra.append_only import create_triggers, drop_triggers

ALIASES, FEES = "cost_app_modelalias", "cost_app_toolfee"
STATES = [("waiting", "Waiting"), ("approved", "Approved"), ("rejected", "Rejected")]
DECIDED = "OLD.state <> 'waiting'"


def is_approved() -> models.Q:
    return models.Q(("state", "approved"))


def proposed_by() -> models.CharField:
    return models.CharField(blank=True, help_text="empty if no person proposed it", max_length=200)


class Migration(migrations.Migration):
    """A fee waits for a second person as an alias does; both keep who proposed them."""

    dependencies = [("cost_app", "0019_indexes_of_what_is_waiting")]
    operations = [
        migrations.RunPython(
            lambda _apps, editor: [drop_triggers(editor, table) for table in (FEES, ALIASES)],
            lambda _apps, editor: [
                create_triggers(editor, FEES, skips_duplicates=True),
                create_triggers(editor, ALIASES, only_where=DECIDED, skips_duplicates=True),
            ],
        ),
        migrations.AddField("modelalias", "proposed_by", proposed_by()),
        migrations.AddField("toolfee", "proposed_by", proposed_by()),
        migrations.AddField(
            "toolfee", "state", models.CharField(choices=STATES, default="approved", max_length=16)
        ),
        migrations.AddField("toolfee", "decided_at", models.DateTimeField(null=True)),
        migrations.RenameField("toolfee", "added_by", "decided_by"),
        migrations.RemoveConstraint("toolfee", "one_fee_at_a_time"),
        migrations.AddConstraint(
            "toolfee",
            models.UniqueConstraint(
                condition=models.Q(("state", "waiting")),
                fields=("provider", "model", "tool"),
                name="one_waiting_fee",
            ),
        ),
        migrations.AddConstraint(
            "toolfee",
            models.UniqueConstraint(
                condition=is_approved(),
                fields=("provider", "model", "tool", "effective_from"),
                name="one_approved_fee_at_a_time",
            ),
        ),
        migrations.RunPython(
            lambda _apps, editor: [
                create_triggers(editor, table, only_where=DECIDED, skips_duplicates=True) for table in (FEES, ALIASES)
            ],
            lambda _apps, editor: [drop_triggers(editor, table) for table in (FEES, ALIASES)],
        ),
    ]
