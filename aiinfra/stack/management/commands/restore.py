"""`manage.py restore FILE`."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.stack import launch, sqlite_backup


class Command(command.Command):
    """Replace the SQLite database with a backup."""

    help = "Replace the SQLite database with a backup, and keep the previous one. The product must be stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """The backup."""
        parser.add_argument("file", type=Path, help="a file that manage.py backup created")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Exit status 1 if nothing was restored."""
        try:
            launch.check_not_running()
            kept = sqlite_backup.restore(options["file"])
        except (launch.CannotStartError, sqlite_backup.BackupError) as error:
            raise CommandError(str(error)) from error
        if kept:
            self.stdout.write(f"The previous database is {kept}")
        self.stdout.write("Restored. Run manage.py release, then manage.py reconcile --strict")
