from argparse import ArgumentParser
from collections.abc import Iterable

from django.core.management.base import BaseCommand, CommandError

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger.rollups import differences, fold, rebuild


class Command(BaseCommand):
    """`manage.py rebuild_rollups [ORGANIZATION] [--check]`: make the sums by hour and day anew, or compare them."""

    help = (
        "Make the sums by hour and day anew from the ledger; with --check only compare, and exit with 1 if they differ."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", nargs="?", help="its slug; all where it is left out")
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
                raise CommandError(f"there is no organization {organization!r}")
        if check:
            self._compare(organizations)
            return
        fold()
        for each in organizations:
            with organization_scope(each.pk):
                rebuild(each.pk)
            self.stdout.write(f"{each.slug}: made anew")

    def _compare(self, organizations: Iterable[Organization]) -> None:
        wrong = 0
        for each in organizations:
            with organization_scope(each.pk):
                for difference in differences(each.pk):
                    wrong += 1
                    self.stdout.write(f"{each.slug}: {difference}")
        if wrong:
            raise CommandError(f"{wrong} sums differ from the ledger; `manage.py rebuild_rollups` makes them anew")
        self.stdout.write("every sum is the ledger's")
