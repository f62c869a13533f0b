"""`manage.py createapikey ORG --name N --role R [--scopes a,b]`."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization


class Command(command.Command):
    """Create an API key and print it once, alone on the last line."""

    help = "Create an API key and print it once, alone on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        """The organization and what the key may do."""
        parser.add_argument("organization", help="the slug")
        parser.add_argument("--name", required=True)
        parser.add_argument("--role", required=True, choices=[role.value for role in Role])
        parser.add_argument("--scopes", help="comma-separated (default: all of the role's)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print the key. Raises CommandError for an unknown organization or scope."""
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"Organization {options['organization']} does not exist.")
        scopes = options["scopes"].split(",") if options["scopes"] else None
        try:
            key, text = create_key(
                organization=organization,
                name=options["name"],
                role=Role(options["role"]),
                scopes=scopes,
                actor=command_actor("createapikey"),
            )
        except ValueError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Created {key} for {organization.slug} with {', '.join(key.scopes)}. It will not be shown again:"
        )
        self.stdout.write(text)
