"""`manage.py demo_history [ORGANIZATION]`."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.demo.history import NoHistoryError, has_history, make_history
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope


class Command(command.Command):
    """Create a demo organization's history: weeks of requests, their costs and cache hits, and three budgets."""

    help = "Create a realistic history of requests for a demo organization, marked as demo."

    def add_arguments(self, parser: CommandParser) -> None:
        """Organization, length and amount."""
        parser.add_argument(
            "organization", nargs="?", default="demo", metavar="ORGANIZATION", help="slug (default: demo)"
        )
        parser.add_argument("--days", type=int, default=60, help="length of the history (default: 60)")
        parser.add_argument("--per-day", type=int, default=400, help="average requests per day (default: 400)")
        parser.add_argument("--requests", type=int, help="total requests, instead of --per-day")
        parser.add_argument("--seed", type=int, default=7, help="the same seed creates the same history (default: 7)")
        parser.add_argument("--again", action="store_true", help="if a history exists, do nothing and succeed")
        parser.add_argument(
            "--force", action="store_true", help="allow an organization that is not a demo organization"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Create it, then print what was created."""
        days = options["days"]
        requests = options["requests"] if options["requests"] is not None else options["per_day"] * days
        if days < 1 or requests < 1:
            raise CommandError("--days, --per-day and --requests must be at least 1")
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"Organization {options['organization']} does not exist.")
        with organization_scope(organization.pk):
            if options["again"] and has_history(organization.pk):
                self.stdout.write(f"{organization.slug} already has a demo history.")
                return
            try:
                made = make_history(
                    organization, days=days, requests=requests, seed=options["seed"], force=options["force"]
                )
            except NoHistoryError as error:
                raise CommandError(f"{error}.") from None
        self.stdout.write(
            f"Created {made.requests} requests over {days} days and {made.budgets} budgets for {organization.slug}."
        )
