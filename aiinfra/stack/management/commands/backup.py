"""`manage.py backup FILE`."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.stack import sqlite_backup


class Command(command.Command):
    """Copy the SQLite database while the product runs."""

    help = "Copy the SQLite database to a new file and check the copy. The product can keep running."

    def add_arguments(self, parser: CommandParser) -> None:
        """The file to create."""
        parser.add_argument("file", type=Path, help="file to create; it must not exist")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Exit status 1 if there is no checked copy."""
        try:
            size = sqlite_backup.back_up(options["file"])
        except sqlite_backup.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['file']}: {size:,} bytes, checked")
