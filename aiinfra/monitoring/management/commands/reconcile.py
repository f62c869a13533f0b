from argparse import ArgumentParser
from itertools import chain

from django.core.management.base import CommandError

from aiinfra import command
from cost_app import create_cost_optimizer
from queue_app.facade import stuck_requests


class Command(command.Command):
    """`manage.py reconcile [--strict]`: check that ledger and queue are consistent; changes nothing."""

    help = "Compare attempts with the ledger and look for stuck requests. Changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--strict", action="store_true", help="exit with status 1 if anything is wrong")

    def handle(self, *args: object, strict: bool, **options: object) -> None:  # noqa: ARG002 - Django's signature
        problems = list(chain(create_cost_optimizer().disagreements(), stuck_requests()))
        for problem in problems:
            self.stdout.write(problem)
        if problems and strict:
            raise CommandError(f"{len(problems)} disagreements")
        self.stdout.write("no discrepancies" if not problems else f"{len(problems)} disagreements")
