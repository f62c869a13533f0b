"""`manage.py banner`."""

from typing import Any

from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.stack.banner import banner, wait_for_web
from aiinfra.stack.programs import log_directory


class Command(command.Command):
    """Wait until the product answers, then print where it runs and how to try it."""

    help = "Wait until the product answers, then print its address and an example."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print what `run` shows."""
        if not wait_for_web():
            raise CommandError(f"The web server is not responding. See {log_directory() / 'web.log'}")
        self.stdout.write(banner())
