from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.tenants.models import Organization
from cost_app.finance.scheduled_exports import deliver


class Command(command.Command):
    """`manage.py deliver_exports [ORGANIZATION] [--again]`: write the scheduled files now."""

    help = "Write the scheduled files that are due, or all of them with --again; exit with status 1 if one fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", nargs="?", help="slug of the organization (default: all)")
        parser.add_argument("--again", action="store_true", help="also write files that are not due")

    def handle(
        self,
        *args: object,  # noqa: ARG002 - Django's signature
        organization: str | None,
        again: bool,
        **options: object,  # noqa: ARG002 - Django's signature
    ) -> None:
        if not settings.EXPORT_DIRECTORY:
            raise CommandError("set EXPORT_DIRECTORY first")
        organizations = Organization.objects.order_by("slug")
        if organization:
            organizations = organizations.filter(slug=organization)
            if not organizations:
                raise CommandError(f"unknown organization {organization!r}")
        failed = 0
        for each in organizations:
            for row in deliver(each, again=again):
                failed += bool(row.error)
                self.stdout.write(f"{each.slug}/{row.file_name}: {row.error or f'{row.size} bytes'}")
        if failed:
            raise CommandError(f"{failed} files were not written")
