"""`manage.py import_prices [--approve-new] [--dry-run]`."""

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser

from aiinfra import command
from aiinfra.money import dollars
from aiinfra.tenants.audit import command_actor
from cost_app.prices.importing import PriceDifference, PriceVerdict, compare, import_prices, proposed_aliases
from cost_app.prices.source import source_name
from cost_app.prices.terms import AMOUNTS


class Command(command.Command):
    """Compare the price book with the package genai-prices; differences wait for approval."""

    help = "Compare the price book with the package genai-prices; differences wait for approval."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--approve-new", action="store_true", help="add models that are not in the book")
        parser.add_argument("--dry-run", action="store_true", help="show the differences and write nothing")
        parser.add_argument("--all", action="store_true", help="also show identical prices")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Print one line per price, in dollars per million tokens, and how many there are of each kind."""
        if options["dry_run"]:
            table = compare()
        else:
            table = import_prices(actor=command_actor("import_prices"), approve_new=options["approve_new"])
        for line in table:
            if options["all"] or line.verdict != PriceVerdict.SAME:
                self.stdout.write(_in_words(line))
        aliases = proposed_aliases()
        for alias in aliases:
            self.stdout.write(f"{'alias':<16} {alias.provider}/{alias.alias} at the price of {alias.model}")
        counts = Counter(line.verdict for line in table)
        said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in PriceVerdict)
        self.stdout.write(f"{source_name()}: {said}, {len(aliases)} aliases to decide.")


def _in_words(line: PriceDifference) -> str:
    name = f"{line.verdict:<16} {line.provider}/{line.model}"
    tier = "" if line.tier == "standard" else f" ({line.tier})"
    ours = f" ours {_amounts(line.ours)}" if line.ours else ""
    theirs = f" theirs {_amounts(line.theirs.terms)}" if line.theirs else ""
    return f"{name}{tier}{ours}{theirs}"


def _amounts(price: Any) -> str:
    """Input, cache read, cache write and output; then those of each length of prompts."""
    text = "/".join(dollars(getattr(price, name)) for name in AMOUNTS)
    for step in price.long_prompts:
        text += f", above {step['above']} tokens " + "/".join(dollars(step[name]) for name in AMOUNTS)
    return text
