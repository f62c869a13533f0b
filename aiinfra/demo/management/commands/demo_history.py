"""`manage.py demo_history [ORGANIZATION]`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aiinfra.demo.history import NoHistoryError, has_history, make_history
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope


class Command(BaseCommand):
    """Gives a demo organization a past: weeks of requests, their costs and cache hits, and three budgets."""

    help = "Make a believable history of requests for a demo organization, marked as such."

    def add_arguments(self, parser: CommandParser) -> None:
        """For whom, how long and how much."""
        parser.add_argument(
            "organization", nargs="?", default="demo", metavar="ORGANIZATION", help="slug (default: demo)"
        )
        parser.add_argument("--days", type=int, default=60, help="how far back (default: 60)")
        parser.add_argument("--per-day", type=int, default=400, help="requests a day on average (default: 400)")
        parser.add_argument("--requests", type=int, help="requests in all, instead of --per-day")
        parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same history (default: 7)")
        parser.add_argument(
            "--again", action="store_true", help="where there is a history already, do nothing and succeed"
        )
        parser.add_argument("--force", action="store_true", help="also for an organization that is no demo")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it, then print what was made."""
        days = options["days"]
        requests = options["requests"] if options["requests"] is not None else options["per_day"] * days
        if days < 1 or requests < 1:
            raise CommandError("--days, --per-day and --requests must be at least 1")
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']}.")
        with organization_scope(organization.pk):
            if options["again"] and has_history(organization.pk):
                self.stdout.write(f"{organization.slug} has its history already.")
                return
            try:
                made = make_history(
                    organization, days=days, requests=requests, seed=options["seed"], force=options["force"]
                )
            except NoHistoryError as error:
                raise CommandError(f"{error}.") from None
        self.stdout.write(
            f"{made.requests} requests of {days} days and {made.budgets} budgets for {organization.slug}."
        )
