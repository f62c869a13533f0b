"""`manage.py audit --verify [--anchor CHAIN:SEQUENCE:DIGEST]`, `manage.py audit --export [--after SEQUENCE]`."""

from collections import defaultdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.audit_trail import verify_all
from aiinfra.tenants.security_log import export


class Command(command.Command):
    """Verify the security log and the audit logs, or print the security log as JSON lines."""

    help = "Verify the security log and the audit logs, or print the security log as JSON lines."

    def add_arguments(self, parser: CommandParser) -> None:
        """One of the two actions, and its options."""
        action = parser.add_mutually_exclusive_group(required=True)
        action.add_argument("--verify", action="store_true", help="exit with status 1 if a log was changed")
        action.add_argument("--export", action="store_true", help="print the security log, oldest event first")
        parser.add_argument(
            "--anchor", action="append", default=[], help="CHAIN:SEQUENCE:DIGEST that was exported (repeatable)"
        )
        parser.add_argument("--after", type=int, default=0, help="export what follows this sequence")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Raises CommandError for a log that was changed and for a malformed anchor."""
        if options["export"]:
            for text in export.lines(after=options["after"], actor=command_actor("audit")):
                self.stdout.write(text)
            return
        results = list(verify_all(_anchors(options["anchor"])))
        for each in results:
            head = f", head {each.chain}:{each.length}:{each.digest}" if each.length else ""
            self.stdout.write(f"{each.chain}: {each.problem or f'{each.length} events verified{head}'}")
        if any(each.problem for each in results):
            raise CommandError("The logs do not verify.")


def _anchors(texts: list[str]) -> dict[str, dict[int, str]]:
    """The anchors by chain. An audit log's name has a colon itself."""
    anchors: dict[str, dict[int, str]] = defaultdict(dict)
    for text in texts:
        chain, sequence, digest = ["", "", "", *text.rsplit(":", 2)][-3:]
        if not chain or not sequence.isdecimal():
            raise CommandError(f"{text} is not CHAIN:SEQUENCE:DIGEST.")
        anchors[chain][int(sequence)] = digest
    return anchors
