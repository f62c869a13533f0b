"""`manage.py erase ORG (--user U | --everything) [--yes]`."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from redis.exceptions import RedisError

from aiinfra import command
from aiinfra.erasure.running import run
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy import erasures
from aiinfra.tenants.privacy.holds import HeldError
from aiinfra.tenants.privacy.models import Erasure
from aiinfra.tenants.scope import organization_scope


class Command(command.Command):
    """Erase a user's content, or an organization's, and print the receipt."""

    help = "Erase a user's content, or an organization's, and print the receipt."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose content."""
        parser.add_argument("organization", help="the slug")
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--user", default="", help="the user as requests name them")
        subject.add_argument("--everything", action="store_true", help="the content of all users")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Raises CommandError for an unknown organization, a legal hold, and while Redis is away."""
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"Organization {options['organization']} does not exist.")
        question = f"Erase the content of {options['user'] or 'all users'}? Type {organization.slug}: "
        if not options["yes"] and input(question) != organization.slug:
            raise CommandError("Nothing was erased.")
        try:
            erasure = erasures.order(
                organization=organization,
                user_ref=options["user"],
                everything=options["everything"],
                actor=command_actor("erase"),
            )
            run(erasure)
        except (HeldError, ValueError) as error:
            raise CommandError(str(error)) from None
        except RedisError:
            raise CommandError("Redis is unreachable. The scheduler continues when it is back.") from None
        with organization_scope(organization.pk):
            done = Erasure.objects.select_related("organization").get(pk=erasure.pk)
        self.stdout.write(json.dumps({**erasures.receipt_of(done), "digest": done.digest}, indent=2))
