"""`manage.py add_price PROVIDER MODEL --input 0.14 --output 0.28 --source URL`."""

import json
import re
from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from aiinfra import command
from aiinfra.tenants.audit import command_actor
from aiinfra.validation import moment_of
from cost_app.models import PriceTier
from cost_app.prices.proposals import add_version
from cost_app.prices.shipped import nano_of
from cost_app.prices.terms import STEP_AMOUNTS, PriceError, PriceTerms, with_defaults

AMOUNT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,9})?")


class Command(command.Command):
    """Add a version to the price book; amounts are dollars per million tokens."""

    help = "Add a version to the price book; amounts are dollars per million tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        """The columns of a price version."""
        parser.add_argument("provider")
        parser.add_argument("model")
        for name in STEP_AMOUNTS:
            required = name in ("input", "output")
            parser.add_argument(f"--{name.replace('_', '-')}", required=required, metavar="DOLLARS", type=_nano)
        parser.add_argument(
            "--long",
            action="append",
            default=[],
            metavar="JSON",
            help='prices of long prompts, once per length: {"above": 200000, "input": "6", "output": "22.5"}',
        )
        parser.add_argument("--tier", choices=PriceTier.values, default=PriceTier.STANDARD.value)
        parser.add_argument("--window-name", default="", help="for example, peak; with --window")
        parser.add_argument("--window", type=json.loads, default=[], help="hours of the week in UTC, as JSON")
        parser.add_argument("--source", required=True, help="where and when you found the price")
        parser.add_argument("--from", dest="effective_from", help="an instant with a time zone (default: now)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print the version. Cache prices default to the input price. Raises CommandError."""
        try:
            version = add_version(
                terms=_terms(options),
                effective_from=_instant(options["effective_from"]),
                actor=command_actor("add_price"),
            )
        except PriceError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Added {version}. Calls already booked keep their price; see `manage.py reprice`.")


def _terms(options: dict[str, Any]) -> PriceTerms:
    names = ("provider", "model", "tier", "source", "window", "window_name")
    amounts = with_defaults({name: options[name] for name in STEP_AMOUNTS})
    steps = sorted((_step(text) for text in options["long"]), key=lambda step: step["above"])
    return PriceTerms(**{name: options[name] for name in names}, **amounts, long_prompts=steps)


def _step(text: str) -> dict[str, Any]:
    try:
        step = json.loads(text)
        amounts = {name: _nano(str(step.pop(name))) for name in STEP_AMOUNTS if name in step}
        above = step.pop("above")
        if type(above) is not int:
            raise TypeError("a fraction of a token")
    except (ArgumentTypeError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise PriceError('A length is JSON like {"above": 200000, "input": "6", "output": "22.5"}.') from error
    if step:
        raise PriceError(f"A length has no {', '.join(sorted(step))}.")
    return {"above": above, **with_defaults(amounts)}


def _nano(text: str) -> int:
    """Nano-dollars per million tokens. Raises ArgumentTypeError, whose message argparse prints."""
    if not AMOUNT.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is not an amount of dollars, which has at most nine decimals.")
    return nano_of(text)


def _instant(text: str | None) -> datetime:
    try:
        return moment_of(parse_datetime(text) if text else timezone.now())
    except ValueError:
        raise CommandError(f"{text} is not a time with a time zone, such as 2026-10-01T00:00Z.") from None
