"""`manage.py archive DIRECTORY [--organization SLUG] [--older-than DAYS] [--dry-run | --verify]`."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.money import dollars
from aiinfra.tenants.audit import command_actor
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app.archive import moving
from queue_app.archive.files import ArchiveError, alone_in
from queue_app.models import ArchivedMonth


class Command(command.Command):
    """Move the requests of closed months to files, or check the files."""

    help = "Move the requests of closed months to compressed files. Their costs stay in the ledger."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, whose, and how old."""
        parser.add_argument("directory", type=Path, help="directory of the archive; outside of the data directory")
        parser.add_argument("--organization", default="", help="slug of the organization (default: all)")
        parser.add_argument(
            "--older-than",
            type=int,
            default=moving.USAGE_COMES_UNTIL.days,
            metavar="DAYS",
            help="days since the end of the month (default and least: %(default)s)",
        )
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--dry-run", action="store_true", help="only print what would be done")
        action.add_argument("--verify", action="store_true", help="read the archive and compare it with the database")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Do what is possible, and exit with status 1 if something failed. A month that has to wait is no failure."""
        organizations = Organization.objects.order_by("slug")
        if slug := options["organization"]:
            organizations = organizations.filter(slug=slug)
            if not organizations:
                raise CommandError(f"there is no organization {slug}")
        work = _verified if options["verify"] else _would_move if options["dry_run"] else _moved
        failed = 0
        try:
            with alone_in(options["directory"]):
                for organization in organizations:
                    with organization_scope(organization.pk):
                        failed += self._print(organization, work(organization, options))
        except (ArchiveError, OSError) as error:
            raise CommandError(str(error)) from error
        if failed:
            raise CommandError(f"{failed} archives are missing or damaged")

    def _print(self, organization: Organization, results: Iterator[tuple[object, str, bool]]) -> int:
        """Returns how many failed."""
        failed = 0
        for month, text, is_bad in results:
            (self.stderr if is_bad else self.stdout).write(f"{organization.slug}, {month}: {text}")
            failed += is_bad
        return failed


def _moved(organization: Organization, options: dict[str, Any]) -> Iterator[tuple[object, str, bool]]:
    actor = command_actor("archive")
    for month, obstacle in moving.movable(organization.pk, timedelta(days=options["older_than"])):
        if obstacle:
            yield month, f"not archived: {obstacle}", False
            continue
        moved = moving.move(organization, month, options["directory"], actor)
        kept = f"; {moved.kept} have changed since and stay in the database" if moved.kept else ""
        yield month, f"archived {_in_words(moved.month)}{kept}", False


def _would_move(organization: Organization, options: dict[str, Any]) -> Iterator[tuple[object, str, bool]]:
    for month, obstacle in moving.movable(organization.pk, timedelta(days=options["older_than"])):
        yield month, f"would not be archived: {obstacle}" if obstacle else "would be archived", False


def _verified(organization: Organization, options: dict[str, Any]) -> Iterator[tuple[object, str, bool]]:
    for month in ArchivedMonth.objects.order_by("first_day"):
        try:
            moving.check(month, moving.directory_of(options["directory"], organization, month.first_day))
        except ArchiveError as error:
            yield month, str(error), True
        else:
            yield month, f"intact, {_in_words(month)}", False


def _in_words(month: ArchivedMonth) -> str:
    return f"{month.requests} requests, ${dollars(month.nano)}"
