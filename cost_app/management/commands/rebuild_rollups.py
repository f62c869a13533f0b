from argparse import ArgumentParser
from collections.abc import Iterable

from django.core.management.base import CommandError

from aiinfra import command
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger.rollups import differences, fold, rebuild


class Command(command.Command):
    """`manage.py rebuild_rollups [ORGANIZATION] [--check]`: rebuild the hourly and daily rollups, or compare them."""

    help = "Rebuild the hourly and daily rollups from the ledger; with --check only compare; status 1 if they differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", nargs="?", help="slug of the organization (default: all)")
        parser.add_argument("--check", action="store_true", help="change nothing")

    def handle(
        self,
        *args: object,  # noqa: ARG002 - Django's signature
        organization: str | None,
        check: bool,
        **options: object,  # noqa: ARG002 - Django's signature
    ) -> None:
        organizations = Organization.objects.order_by("slug")
        if organization:
            organizations = organizations.filter(slug=organization)
            if not organizations:
                raise CommandError(f"unknown organization {organization!r}")
        if check:
            self._compare(organizations)
            return
        fold()
        for each in organizations:
            with organization_scope(each.pk):
                rebuild(each.pk)
            self.stdout.write(f"{each.slug}: rebuilt")

    def _compare(self, organizations: Iterable[Organization]) -> None:
        wrong = 0
        for each in organizations:
            with organization_scope(each.pk):
                for difference in differences(each.pk):
                    wrong += 1
                    self.stdout.write(f"{each.slug}: {difference}")
        if wrong:
            raise CommandError(f"{wrong} rollups differ from the ledger; `manage.py rebuild_rollups` rebuilds them")
        self.stdout.write("all rollups match the ledger")
