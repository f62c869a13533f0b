"""`manage.py demo_traffic --rate R --seconds S`."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from aiinfra import command
from aiinfra.demo.traffic import NothingToSendError, send_traffic


class Command(command.Command):
    """Send simulated traffic, so that the pages have data."""

    help = "Send a realistic mix of requests for a while, then exit."

    def add_arguments(self, parser: CommandParser) -> None:
        """Rate, duration, organizations, and a seed for repeatable traffic."""
        parser.add_argument("--rate", type=float, default=2.0, help="average requests per second (default: 2)")
        parser.add_argument("--seconds", type=float, default=60.0, help="duration (default: 60)")
        parser.add_argument(
            "--organization",
            action="append",
            default=[],
            metavar="SLUG",
            help="organization to send for; repeatable (default: all demo organizations)",
        )
        parser.add_argument("--seed", type=int, help="the same seed sends the same questions in the same order")

    def handle(self, *_: Any, **options: Any) -> None:
        """Send, then print a summary."""
        if options["rate"] <= 0 or options["seconds"] <= 0:
            raise CommandError("--rate and --seconds must be greater than 0")
        try:
            report = send_traffic(
                rate=options["rate"],
                seconds=options["seconds"],
                organizations=options["organization"],
                seed=options["seed"],
            )
        except NothingToSendError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(str(report))
