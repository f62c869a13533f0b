"""`manage.py banner`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aiinfra.stack.banner import banner, wait_for_web
from aiinfra.stack.programs import log_directory


class Command(BaseCommand):
    """Wait until the product answers, then print where it runs and how to try it."""

    help = "Wait until the product answers, then print its address and an example."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print what `run` shows."""
        if not wait_for_web():
            raise CommandError(f"The web server is not responding. See {log_directory() / 'web.log'}")
        self.stdout.write(banner())
