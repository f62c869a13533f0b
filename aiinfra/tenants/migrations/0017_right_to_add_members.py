from django.db import migrations

RIGHTS = [
    ("approve_prices", "Propose, approve, and reject prices, and reprice"),
    ("operate_queues", "View load by organization, and operate workers and their queue"),
    ("read_security_log", "Read and export the security log"),
    ("manage_installation_alerts", "Handle installation alerts and change their thresholds"),
    ("manage_installation_notifications", "Manage the installation's notification channels"),
    ("erase_content", "Erase content and set legal holds for every organization"),
    ("add_members_anywhere", "Create and change organizations, and add members with any role to all of them"),
]
FORMER = ("add_membership", "add_organization", "change_organization")
"""Permissions of Django that were enough until now."""


def keep_what_staff_could_do(apps, _editor):
    permissions = apps.get_model("auth", "Permission").objects
    former = list(permissions.filter(content_type__app_label="tenants", codename__in=FORMER))
    if not former:
        return
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label="tenants", model="user")
    codename, name = RIGHTS[-1]
    right, _ = permissions.get_or_create(content_type=kind, codename=codename, defaults={"name": name})
    for person in apps.get_model("tenants", "User").objects.filter(user_permissions__in=former).distinct():
        person.user_permissions.add(right)
    for group in apps.get_model("auth", "Group").objects.filter(permissions__in=former).distinct():
        group.permissions.add(right)


class Migration(migrations.Migration):
    """Making anyone a member of any organization is a right with a name."""

    dependencies = [
        ("tenants", "0016_single_sign_on"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.AlterModelOptions(
            name="user", options={"permissions": RIGHTS, "verbose_name": "user", "verbose_name_plural": "users"}
        ),
        migrations.RunPython(keep_what_staff_could_do, migrations.RunPython.noop),
    ]
