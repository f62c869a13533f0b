"""`manage.py createorg SLUG [--name N] [--timezone Z] [--owner EMAIL]`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.models import Organization
from aiinfra.tenants.organizations import add_first_owner, create_organization


class Command(BaseCommand):
    """Make an organization; one that exists is left as it is."""

    help = "Make an organization; one that exists is left as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        """The slug, and what may differ from the defaults."""
        parser.add_argument("slug")
        parser.add_argument("--name", default="", help="shown to people (default: the slug)")
        parser.add_argument("--timezone", default="UTC", help="IANA name, as Europe/Berlin (default: UTC)")
        parser.add_argument("--owner", metavar="EMAIL", help="who owns it; an account is made where he has none")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print what was done. Raises CommandError for values that are wrong."""
        slug = options["slug"]
        if Organization.objects.filter(slug=slug).exists():
            self.stdout.write(f"The organization {slug} exists already.")
            return
        try:
            lines = self._make(options)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write("\n".join(lines))

    @transaction.atomic
    def _make(self, options: dict[str, Any]) -> list[str]:
        """Organization and owner, both or none; returns what to tell."""
        slug, owner, actor = options["slug"], options["owner"], command_actor("createorg")
        organization = create_organization(slug=slug, name=options["name"], time_zone=options["timezone"], actor=actor)
        lines = [f"Made the organization {slug}."]
        if owner:
            password = add_first_owner(organization, owner, actor)
            how = f"with the password {password} and changes it at /settings/password/" if password else "as before"
            lines.append(f"{owner.lower()} owns it, and logs in {how}.")
        return lines
