"""`manage.py doctor`."""

import sys
from typing import Any

from aiinfra import command
from aiinfra.stack.doctor import examine
from aiinfra.stack.findings import Level


class Command(command.Command):
    """Check the environment of the product."""

    help = "Check Redis, database, secrets, time zones, and providers; exit with status 1 if something needs fixing."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print one line per finding."""
        findings = examine()
        for finding in findings:
            self.stdout.write(f"{finding.level:<7} {finding.text}")
        if any(finding.level is Level.FAILED for finding in findings):
            sys.exit(1)
