"""`manage.py disablesso SLUG`."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso import people
from aiinfra.tenants.sso.models import IdentityProvider


class Command(command.Command):
    """Let members of an organization log in with passwords while its identity provider does not work."""

    help = "Stop requiring single sign-on in an organization whose identity provider does not work."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the organization."""
        parser.add_argument("organization", help="the slug")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print what was done. Raises CommandError for an organization that does not require it."""
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"Organization {options['organization']} does not exist.")
        with organization_scope(organization.pk):
            provider = IdentityProvider.objects.filter(is_enforced=True).first()
            if provider is None:
                raise CommandError(f"{organization.slug} does not require single sign-on.")
            provider.is_enforced = False
            provider.save(update_fields=["is_enforced"])
            people.configured(provider, command_actor("disablesso"), "sso.changed")
        self.stdout.write(f"Members of {organization.slug} can log in with passwords again.")
