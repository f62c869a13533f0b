"""`manage.py createadmin EMAIL [--organization SLUG]`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.tenants.administrators import create_administrator
from aiinfra.tenants.audit import command_actor


class Command(command.Command):
    """Make a person an administrator of the installation."""

    help = "Make a person an administrator of the installation; a new account's password is the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address and the option."""
        parser.add_argument("email", help="creates their account if needed")
        parser.add_argument(
            "--organization", metavar="SLUG", default="", help="also make them an owner of this organization"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print what was done. Raises CommandError for invalid values."""
        email = options["email"].lower()
        try:
            password = create_administrator(
                email=email, organization=options["organization"], actor=command_actor("createadmin")
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        if password is None:
            self.stdout.write(f"{email} is now an administrator, and logs in with their existing password.")
            return
        self.stdout.write(f"{email} is now an administrator. The password will not be shown again:")
        self.stdout.write(password)
