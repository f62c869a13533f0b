"""`manage.py createorg SLUG [--name N] [--timezone Z] [--owner EMAIL]`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from aiinfra import command
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.models import Organization
from aiinfra.tenants.organizations import add_first_owner, create_organization


class Command(command.Command):
    """Create an organization; an existing one is left unchanged."""

    help = "Create an organization; an existing one is left unchanged."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the slug and the options."""
        parser.add_argument("slug")
        parser.add_argument("--name", default="", help="display name (default: the slug)")
        parser.add_argument("--timezone", default="UTC", help="IANA name, such as Europe/Berlin (default: UTC)")
        parser.add_argument(
            "--owner", metavar="EMAIL", help="email address of the owner; creates their account if needed"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print what was done. Raises CommandError for invalid values."""
        slug = options["slug"]
        if Organization.objects.filter(slug=slug).exists():
            self.stdout.write(f"Organization {slug} already exists.")
            return
        try:
            lines = self._make(options)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write("\n".join(lines))

    @transaction.atomic
    def _make(self, options: dict[str, Any]) -> list[str]:
        """Create organization and owner, both or neither; returns the message to print."""
        slug, owner, actor = options["slug"], options["owner"], command_actor("createorg")
        organization = create_organization(slug=slug, name=options["name"], time_zone=options["timezone"], actor=actor)
        lines = [f"Created organization {slug}."]
        if owner:
            password = add_first_owner(organization, owner, actor)
            how = (
                f"with the password {password} and should change it at /settings/password/"
                if password
                else "with their existing password"
            )
            lines.append(f"{owner.lower()} owns it, and logs in {how}.")
        return lines
