"""`manage.py import_litellm config.yaml [keys.json] [--organization SLUG]`."""

import json
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.gateway.litellm.applying import apply
from aiinfra.gateway.litellm.reading import plan_of
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope


class Command(command.Command):
    """Import models, aliases, fallbacks, keys, teams, and budgets from LiteLLM. Safe to repeat."""

    help = "Import models, aliases, fallbacks, keys, teams, and budgets from LiteLLM. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        """The files, and who gets what is in them."""
        parser.add_argument("config", type=Path, help="LiteLLM's config.yaml")
        parser.add_argument("keys", type=Path, nargs="?", help='JSON: {"keys": [...], "teams": [...]}')
        parser.add_argument("--organization", help="the slug (default: the only one there is)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print each thing that was imported or could not be; new secrets are shown once. Raises CommandError."""
        organization = _organization(options["organization"])
        try:
            config = yaml.safe_load(options["config"].read_bytes())
            exported = json.loads(options["keys"].read_bytes()) if options["keys"] else None
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise CommandError(f"The file cannot be read: {error}") from None
        with organization_scope(organization.pk):
            for line in apply(plan_of(config, exported), organization, command_actor("import_litellm")):
                self.stdout.write(line)


def _organization(slug: str | None) -> Organization:
    found = list(Organization.objects.filter(slug=slug) if slug else Organization.objects.all()[:2])
    if not found:
        raise CommandError(f"Organization {slug} does not exist." if slug else "There is no organization yet.")
    if len(found) > 1:
        raise CommandError("There are several organizations. Name one with --organization.")
    return found[0]
