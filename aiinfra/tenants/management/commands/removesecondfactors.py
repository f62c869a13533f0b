"""`manage.py removesecondfactors NAME`."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from aiinfra import command
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.login.sessions import end_sessions
from aiinfra.tenants.members import account_of
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record


class Command(command.Command):
    """Let a person who lost their second factors log in with the password alone."""

    help = "Remove a person's authenticator app, passkeys, and recovery codes, and log them out everywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the name."""
        parser.add_argument("name", help="username or email address")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print how many were removed. Raises CommandError for an unknown name."""
        user = account_of(options["name"])
        if user is None:
            raise CommandError(f"No account has the name {options['name']}.")
        count, _ = Authenticator.objects.filter(user=user).delete()
        actor = command_actor("removesecondfactors")
        record(Event.SECOND_FACTOR_REMOVED, actor=actor, target=user.get_username(), details={"removed": count})
        end_sessions(user, why="second factors removed")
        self.stdout.write(f"Removed {count} second factors of {user}.")
