from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.db import migrations

FORMER_PASSWORD = "demo-password"  # noqa: S105 - it was public


def secure_demo_people(apps: Any, _: Any) -> None:
    """Earlier versions gave everyone the same password, and made one of them a superuser."""
    people = apps.get_model("tenants", "User").objects.filter(username__endswith="@demo")
    people.update(is_staff=False, is_superuser=False)
    for user in people:
        if check_password(FORMER_PASSWORD, user.password):
            user.password = make_password(None)
            user.save(update_fields=["password"])


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_never_replaced")]
    operations = [migrations.RunPython(secure_demo_people, migrations.RunPython.noop)]
