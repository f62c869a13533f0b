"""The settings of the test database."""

from django.db.backends.base.base import BaseDatabaseWrapper

PATIENCE_S = 120


def adapt_to_tests(connection: BaseDatabaseWrapper) -> None:
    """Set long timeouts for locks and connections, so that tests pass on a busy machine, and don't wait for the disk.

    No test needs commits to survive a power failure, and syncing a busy disk takes longer than the rest of a test.
    """
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "sqlite":
        options["timeout"] = PATIENCE_S
        options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
    else:
        options["pool"]["timeout"] = PATIENCE_S
        options["options"] = f"{options.get('options', '')} -c synchronous_commit=off"
