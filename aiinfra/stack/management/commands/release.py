"""`manage.py release`."""

from typing import Any

from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.stack.release import DatabaseUnreachableError, release


class Command(command.Command):
    """Bring database, prices, and static files up to date."""

    help = "Migrate the database, import new prices, and collect static files. Safe to repeat and to run twice at once."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Exit status 1 if the database cannot be reached."""
        try:
            release(self.stdout.write)
        except DatabaseUnreachableError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Done.")
