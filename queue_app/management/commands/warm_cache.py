"""`manage.py warm_cache SLUG --file F` or `--days N`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.facade import CacheAwayError
from queue_app.caching import warm_file
from queue_app.caching.warming import Warmed, asked_often, warm


class Command(BaseCommand):
    """Puts answers into the cache before they are asked for."""

    help = "Fill an organization's cache from a file of questions, or with what was asked often."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """For whom, and from what."""
        parser.add_argument("organization", help="its slug")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--file", type=Path, help='JSON lines: {"question": "...", "answer": "...", ...}')
        source.add_argument("--days", type=int, help="what was asked at least twice in so many days")
        parser.add_argument("--limit", type=int, default=100, help="with --days: the most frequent ones (default: 100)")
        parser.add_argument("--provider", default="deepseek", help="for lines without one (default: deepseek)")
        parser.add_argument("--model", default="deepseek-chat", help="for lines without one (default: deepseek-chat)")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *_: Any, **options: Any) -> None:
        """Warm, then print what was done."""
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"there is no organization {options['organization']}")
        try:
            with organization_scope(organization.pk):
                warmed = _warm(organization.pk, options)
        except (OSError, ValueError, CacheAwayError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_told(warmed, dry_run=options["dry_run"]))
        for reason, count in warmed.refusals.most_common():
            self.stderr.write(f"{count} not asked: {reason}")


def _warm(organization_id: int, options: dict[str, Any]) -> Warmed:
    if options["file"] is None:
        if min(options["days"], options["limit"]) < 1:
            raise ValueError("--days and --limit must be above 0")
        wanted = asked_often(organization_id, days=options["days"], limit=options["limit"])
    else:
        text = options["file"].read_text(encoding="utf-8")
        lines = warm_file.parsed(text.splitlines(), provider=options["provider"], model=options["model"])
        wanted = warm_file.wanted(organization_id, lines)
    return warm(wanted, dry_run=options["dry_run"])


def _told(warmed: Warmed, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    later = "" if dry_run else "; their answers are cached as the queue works them off"
    return (
        f"{warmed.given} answers {would}stored, {warmed.known} in the cache already, "
        f"{warmed.asked} questions {would}asked{later}"
    )
