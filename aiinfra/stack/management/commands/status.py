"""`manage.py status`."""

import json
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.stack.control import ControlError
from aiinfra.stack.status import Status, status

STOPPING = "; these processes finish their work first"


class Command(command.Command):
    """Show running processes, as a table or as JSON for scripts."""

    help = "Show the addresses and processes of the product on this machine; exit with status 1 if it is not running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--json`."""
        parser.add_argument("--json", action="store_true", help="print a JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print the status."""
        try:
            found = status()
        except ControlError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(found.as_dict(), indent=2) if options["json"] else _table(found))


def _table(found: Status) -> str:
    lines = [
        f"state     {found.state}{STOPPING * (found.state == 'stopping')}",
        f"web       {found.web}",
        f"sandbox   {found.sandbox or 'not used'}",
        f"redis     {_without_password(found.redis)}",
        f"database  {found.database}",
        "",
        f"{'PROCESS':<14}{'KIND':<12}PID",
    ]
    lines += [f"{process.name:<14}{process.kind:<12}{process.pid}" for process in found.processes]
    return "\n".join(lines)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
