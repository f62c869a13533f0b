"""`manage.py seed_demo [--remove]`."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.tenants import demo


class Command(command.Command):
    """Create the demo organizations, people, and API key that are missing, or deactivate them."""

    help = "Create the demo organizations, people, and API key that are missing, or deactivate people and key."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the option."""
        parser.add_argument("--remove", action="store_true", help="deactivate the demo people and the demo API key")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print the logins; the API key is the last line. Raises CommandError where demo accounts are not allowed."""
        if options["remove"]:
            self.stdout.write(f"Deactivated {demo.remove_people()} demo accounts and the demo API key.")
            return
        try:
            key = demo.seed()
        except demo.DemoRefusedError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Log in as {', '.join(demo.demo_logins())}. The password is in {demo.password_path()}.")
        self.stdout.write("API key:")
        self.stdout.write(key)
