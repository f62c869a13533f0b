"""`manage.py warm_cache SLUG --file F` or `--days N`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.json_body import json_lines
from aiinfra.plurals import plural
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.facade import CacheAwayError
from queue_app.caching import warm_file
from queue_app.caching.warming import WarmResult, frequent_questions, warm


class Command(command.Command):
    help = "Fill an organization's cache from a file of questions, or from its most frequent questions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", help="the organization's slug")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--file", type=Path, help='JSON lines: {"question": "...", "answer": "...", ...}')
        source.add_argument("--days", type=int, help="questions asked at least twice in the last N days")
        parser.add_argument("--limit", type=int, default=100, help="with --days: how many questions (default: 100)")
        parser.add_argument("--provider", default="deepseek", help="for lines without one (default: deepseek)")
        parser.add_argument("--model", default="deepseek-chat", help="for lines without one (default: deepseek-chat)")
        parser.add_argument("--dry-run", action="store_true", help="only print what would be done")

    def handle(self, *_: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"there is no organization {options['organization']}")
        try:
            with organization_scope(organization.pk):
                warmed = _warm(organization.pk, options)
        except (OSError, ValueError, CacheAwayError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_summary(warmed, dry_run=options["dry_run"]))
        for reason, count in warmed.refusals.most_common():
            self.stderr.write(f"{count} not sent: {reason}")


def _warm(organization_id: int, options: dict[str, Any]) -> WarmResult:
    if options["file"] is None:
        if min(options["days"], options["limit"]) < 1:
            raise ValueError("--days and --limit must be above 0")
        wanted = frequent_questions(organization_id, days=options["days"], limit=options["limit"])
    else:
        lines = json_lines(options["file"])
        parsed = warm_file.parsed(lines, provider=options["provider"], model=options["model"])
        wanted = warm_file.warm_questions(organization_id, parsed)
    return warm(wanted, dry_run=options["dry_run"])


def _summary(warmed: WarmResult, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    later = "" if dry_run else "; their answers are cached once the queue has processed them"
    return (
        f"{plural(warmed.given, 'answer')} {would}stored, {warmed.known} already in the cache, "
        f"{plural(warmed.asked, 'question')} {would}sent{later}"
    )
