"""`manage.py row_security on --role NAME` and `manage.py row_security off`."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from aiinfra import command
from aiinfra.tenants import row_security


class Command(command.Command):
    """Create or drop PostgreSQL's row-level security policies."""

    help = "Create or drop PostgreSQL's row-level security policies. Run it as the owner of the tables."

    def add_arguments(self, parser: CommandParser) -> None:
        """On for a role, or off."""
        parser.add_argument("state", choices=["on", "off"])
        parser.add_argument("--role", help="the role that the product connects as")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Turn it on or off; can be repeated. Raises CommandError for SQLite, and for a role that policies ignore."""
        if connection.vendor != "postgresql":
            raise CommandError("Row-level security needs PostgreSQL.")
        if options["state"] == "on" and not options["role"]:
            raise CommandError("Name the role that the product connects as: --role NAME")
        try:
            row_security.protect(options["role"]) if options["state"] == "on" else row_security.unprotect()
        except row_security.UnsuitableRoleError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Row-level security is {options['state']} for {len(row_security.tenant_tables())} tables.")
