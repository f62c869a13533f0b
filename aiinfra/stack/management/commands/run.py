"""`manage.py run`."""

from typing import Any

from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.stack import launch


class Command(command.Command):
    """Run the whole product on this machine until Ctrl-C."""

    help = "Run the whole product on this machine (Redis, web, workers, scheduler, sandbox) until Ctrl-C or SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Never returns: this process becomes the supervisor."""
        try:
            launch.prepare(self._say)
        except launch.CannotStartError as error:
            raise CommandError(str(error)) from error
        self._say("Starting ...")
        launch.become_supervisor()

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
