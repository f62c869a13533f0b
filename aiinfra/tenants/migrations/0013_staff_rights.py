from django.db import migrations

RIGHTS = [
    ("approve_prices", "Propose, approve, and reject prices, and reprice"),
    ("operate_queues", "View load by organization, and operate workers and their queue"),
    ("read_security_log", "Read and export the security log"),
    ("manage_installation_alerts", "Handle installation alerts and change their thresholds"),
    ("manage_installation_notifications", "Manage the installation's notification channels"),
    ("erase_content", "Erase content and set legal holds for every organization"),
]
FORMER = {"read_security_log", "erase_content"}
"""Rights over what did not exist: nobody had them."""


def keep_what_staff_could_do(apps, _editor):
    """Staff could do everything; those who are no superusers keep it through a group that superusers can change."""
    people = apps.get_model("tenants", "User").objects.filter(is_staff=True, is_superuser=False)
    if not people.exists():
        return
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label="tenants", model="user")
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name="Staff before named rights")
    for codename, name in RIGHTS:
        if codename not in FORMER:
            right, _ = apps.get_model("auth", "Permission").objects.get_or_create(
                content_type=kind, codename=codename, defaults={"name": name}
            )
            group.permissions.add(right)
    for person in people:
        person.groups.add(group)


class Migration(migrations.Migration):
    """What staff may do is named."""

    dependencies = [
        ("tenants", "0012_person_sessions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.AlterModelOptions(
            name="user", options={"permissions": RIGHTS, "verbose_name": "user", "verbose_name_plural": "users"}
        ),
        migrations.AlterModelManagers(name="user", managers=[]),
        migrations.RunPython(keep_what_staff_could_do, migrations.RunPython.noop),
    ]
