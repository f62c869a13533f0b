"""`manage.py rotatesecrets`."""

import sys
from typing import Any

from django.core.management.base import CommandParser

from aiinfra import command, secret_rotation
from aiinfra.secret_rotation import KeyCounts
from aiinfra.tenants.login.factor_rotation import rotate_factors
from aiinfra.tenants.peppers import count_by_pepper


class Command(command.Command):
    """Encrypt everything with the newest key."""

    help = "Encrypt every stored secret with SECRET_KEY, after it has changed. Safe to repeat and to interrupt."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--check`."""
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit with status 1 if a value needs another key"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print one line per column; exit with status 1 if a value cannot be decrypted.

        API keys are only counted: no one but their owners has what the new pepper must hash.
        """
        counts = secret_rotation.count_by_key() if options["check"] else secret_rotation.rotate()
        for each in counts:
            self.stdout.write(_line(each, "encrypted with an earlier key" if options["check"] else "rotated"))
        if not options["check"]:
            self.stdout.write(f"Second factors: {rotate_factors()} rotated")
        keys = count_by_pepper()
        self.stdout.write(f"API keys: {keys.current} current, {keys.older} that need API_KEY_PEPPER_FALLBACKS")
        older = keys.older + sum(each.older for each in counts)
        if any(each.undecryptable for each in counts) or (options["check"] and older):
            sys.exit(1)


def _line(counts: KeyCounts, older: str) -> str:
    line = f"{counts.column}: {counts.current} current, {counts.older} {older}"
    return f"{line}, {counts.undecryptable} that no key decrypts" if counts.undecryptable else line
