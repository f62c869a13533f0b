"""`manage.py stop`."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.stack.control import ControlError, shut_down


class Command(command.Command):
    """Stop what `run` started; provider calls in progress finish first."""

    help = "Stop what `manage.py run` started, and wait until all processes have ended."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Returns when everything has ended."""
        try:
            shut_down(settings.DATA_DIR, self._say)
        except ControlError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError(
                "No longer waiting. aiinfra is still stopping; `manage.py status` shows what is left."
            ) from None
        self.stdout.write("Stopped.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
