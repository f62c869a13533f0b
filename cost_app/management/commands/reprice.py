"""`manage.py reprice PROVIDER [MODEL] --from DATE --to DATE --reason TEXT [--yes]`."""

from datetime import UTC, datetime, time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from aiinfra import command
from aiinfra.money import dollars
from aiinfra.tenants.audit import command_actor
from aiinfra.validation import moment_of
from cost_app.prices.repricing import OrganizationDifference, Period, difference, reprice


class Command(command.Command):
    """Show what a period's calls would cost with the current price book; with --yes correct the ledger."""

    help = "Show what a period's calls would cost with the current price book; with --yes correct the ledger."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which calls, and why they are repriced."""
        parser.add_argument("provider")
        parser.add_argument("model", nargs="?", default="", help="default: all models of the provider")
        parser.add_argument("--from", dest="starts_at", required=True, help="2026-10-01, or with a time; UTC")
        parser.add_argument("--to", dest="ends_at", required=True, help="the end, exclusive; UTC")
        parser.add_argument("--reason", default="", help="reason; required with --yes")
        parser.add_argument("--yes", action="store_true", help="post the adjustments")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print the difference by organization, then post it if asked. Raises CommandError."""
        starts_at, ends_at = _instant(options["starts_at"]), _instant(options["ends_at"])
        if starts_at >= ends_at:
            raise CommandError("The period must end after it starts.")
        if options["yes"] and not options["reason"].strip():
            raise CommandError("Give a reason with --reason. It is recorded in the audit log.")
        period = Period(options["provider"], options["model"], starts_at, ends_at)
        for row in difference(period):
            self.stdout.write(_in_words(row))
        self._post(period, options)

    def _post(self, period: Period, options: dict[str, Any]) -> None:
        if not options["yes"]:
            self.stdout.write("Nothing was written. Run it again with --yes and --reason to post the differences.")
            return
        done = reprice(period=period, actor=command_actor("reprice"), reason=options["reason"].strip()[:200])
        self.stdout.write(f"Posted as repricing {done.pk}." if done else "There was nothing to correct.")


def _in_words(row: OrganizationDifference) -> str:
    unpriced = f", {row.now_priced} of them had no price" if row.now_priced else ""
    return (
        f"{row.organization.slug}: {row.changed} of {row.attempts} calls change{unpriced}; booked "
        f"{dollars(row.booked_nano)}, new {dollars(row.new_nano)}, difference {dollars(row.difference_nano)} USD"
    )


def _instant(text: str) -> datetime:
    """A date means the start of that day. Raises CommandError."""
    try:
        day = parse_date(text)
        instant = datetime.combine(day, time()) if day else parse_datetime(text)
        return moment_of(instant.replace(tzinfo=instant.tzinfo or UTC) if instant else None)
    except ValueError:
        raise CommandError(f"{text} is not a date.") from None
