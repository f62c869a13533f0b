"""`manage.py stop`."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from aiinfra.stack.control import NotRunningError, shut_down


class Command(BaseCommand):
    """Stop what `run` started; calls to providers that run are finished first."""

    help = "Stop what `manage.py run` started. Calls to providers that run are finished first."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Returns when everything has ended."""
        try:
            shut_down(settings.DATA_DIR)
        except NotRunningError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Stopped.")
