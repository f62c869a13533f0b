"""`manage.py seed_demo`."""

from typing import Any

from django.core.management.base import BaseCommand

from aiinfra.tenants import demo


class Command(BaseCommand):
    """Make the demo organizations, people and API key, as far as they are missing."""

    help = "Make the demo organizations, people and API key, as far as they are missing."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print the log-ins; the API key is the last line."""
        key = demo.seed()
        self.stdout.write(f"Log in as {', '.join(demo.demo_logins())} with the password {demo.DEMO_PASSWORD}. API key:")
        self.stdout.write(key)
