"""`manage.py doctor`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from aiinfra.stack.doctor import Level, examine


class Command(BaseCommand):
    """Check what the product stands on."""

    help = "Check Redis, database, secrets, time zones and providers; exit 1 if something has to be mended."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """One line a finding."""
        findings = examine()
        for finding in findings:
            self.stdout.write(f"{finding.level:<7} {finding.text}")
        if any(finding.level is Level.FAILED for finding in findings):
            sys.exit(1)
