"""The settings of the test database."""

from django.db.backends.base.base import BaseDatabaseWrapper

PATIENCE_S = 120


def suit_tests(connection: BaseDatabaseWrapper) -> None:
    """Wait longer for locks and connections, so that no busy machine fails a test, and not at all for the disk.

    No test cuts the power, and a commit that waits for a busy disk takes longer than all else in a test.
    """
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "sqlite":
        options["timeout"] = PATIENCE_S
        options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
    else:
        options["pool"]["timeout"] = PATIENCE_S
        options["options"] = f"{options.get('options', '')} -c synchronous_commit=off"
