from ipaddress import ip_address

from django.db import migrations, models
from django.db.models import Q

from aiinfra.append_only import create_triggers, drop_triggers
from aiinfra.tenants.security_log.chain import digest_of

TABLE = "tenants_auditevent"
COLUMNS = ("actor", "verb", "target", "changes", "request_id")


def link_earlier_events(apps, _editor):
    """Events from before this version become the beginning of their organization's chain, in order of time."""
    events = apps.get_model("tenants", "AuditEvent").objects
    heads = apps.get_model("security_log", "ChainHead").objects
    for organization_id in list(events.order_by().values_list("organization_id", flat=True).distinct()):
        sequence, digest = 0, ""
        for event in events.filter(organization_id=organization_id).order_by("at", "id").iterator():
            sequence += 1
            digest = digest_of(digest, sequence, columns_of(event))
            events.filter(pk=event.pk).update(sequence=sequence, digest=digest)
        heads.create(name=f"audit:{organization_id or 'installation'}", length=sequence, digest=digest)


def columns_of(event):
    """As `AuditEvent.chained` in this version."""
    return {
        **{name: getattr(event, name) for name in COLUMNS},
        "id": event.pk,
        "organization": event.organization_id,
        "at": event.at,
        "address": ip_address(event.ip_address).exploded if event.ip_address else None,
    }


def forget_chains(apps, _editor):
    """The events lose their columns, too."""
    apps.get_model("security_log", "ChainHead").objects.filter(name__startswith="audit:").delete()


class Migration(migrations.Migration):
    """Each organization's audit events are a chain."""

    dependencies = [("tenants", "0009_pepper_of_keys"), ("security_log", "0001_log")]
    operations = [
        migrations.AddField(
            model_name="auditevent",
            name="sequence",
            field=models.BigIntegerField(null=True, editable=False, help_text="counts the organization's events"),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="digest",
            field=models.CharField(max_length=64, blank=True, default="", editable=False, help_text="see the security log"),
            preserve_default=False,
        ),
        migrations.RunPython(lambda _apps, editor: drop_triggers(editor, TABLE), migrations.RunPython.noop),
        migrations.RunPython(link_earlier_events, forget_chains),
        migrations.AddConstraint(
            model_name="auditevent",
            constraint=models.UniqueConstraint(
                fields=["organization", "sequence"],
                condition=Q(organization__isnull=False),
                name="audit_sequence_of_organization",
            ),
        ),
        migrations.AddConstraint(
            model_name="auditevent",
            constraint=models.UniqueConstraint(
                fields=["sequence"],
                condition=Q(organization__isnull=True),
                name="audit_sequence_of_installation",
            ),
        ),
        migrations.RunPython(
            lambda _apps, editor: create_triggers(editor, TABLE), lambda _apps, editor: drop_triggers(editor, TABLE)
        ),
    ]
