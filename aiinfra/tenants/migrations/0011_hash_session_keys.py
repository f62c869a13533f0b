from django.db import migrations

from aiinfra.tenants.sessions import session_id


def hash_keys(apps, _editor):
    """People stay logged in: their browsers keep the keys."""
    sessions = apps.get_model("sessions", "Session").objects
    for key in list(sessions.values_list("session_key", flat=True)):
        sessions.filter(session_key=key).update(session_key=session_id(key))


def end_sessions(apps, _editor):
    """A hash does not give its key back."""
    apps.get_model("sessions", "Session").objects.all().delete()


class Migration(migrations.Migration):
    """Sessions are found by a hash of their keys, so a copy of the database opens none."""

    dependencies = [("tenants", "0010_audit_chain"), ("sessions", "0001_initial")]
    operations = [migrations.RunPython(hash_keys, end_sessions)]
