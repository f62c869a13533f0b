"""`manage.py seed_demo`."""

from typing import Any

from django.core.management.base import BaseCommand

from aiinfra.tenants import demo


class Command(BaseCommand):
    """Create the demo organizations, people and API key that are missing."""

    help = "Create the demo organizations, people and API key that are missing."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print the logins; the API key is the last line."""
        key = demo.seed()
        self.stdout.write(f"Log in as {', '.join(demo.demo_logins())} with the password {demo.DEMO_PASSWORD}. API key:")
        self.stdout.write(key)
