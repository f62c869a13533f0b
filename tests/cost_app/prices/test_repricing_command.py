"""The command `reprice`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from aiinfra.tenants.models import Organization
from cost_app.models import (
    Repricing,
)
from tests.cost_app.prices.repricing import DAY, NOW, Call, ledger_sum, price

DATES = ("--from", f"{NOW - 7 * DAY:%Y-%m-%d}", "--to", f"{NOW + DAY:%Y-%m-%d}")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("reprice", "local", *arguments, stdout=out)
    return out.getvalue()


def test_command_shows_the_difference_and_posts_it_with_yes(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    shown = "north: 1 of 1 calls change; booked 0.0000011, new 0.0000033, difference 0.0000022 USD"
    output = run("m", *DATES)
    assert shown in output
    assert "Nothing was written" in output
    assert ledger_sum(organization) == 1_100
    output = run(*DATES, "--yes", "--reason", "the list was wrong")
    assert shown in output
    assert "Posted as repricing" in output
    assert ledger_sum(organization) == 3_300
    assert Repricing.objects.get().by == "command:reprice"
    assert "nothing to correct" in run(*DATES, "--yes", "--reason", "again")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("--from", "soon", "--to", "2026-01-02"), "soon is not a date"),
        (("--from", "2026-13-01", "--to", "2026-01-02"), "2026-13-01 is not a date"),
        (("--from", "0001-01-01", "--to", "2026-01-02"), "0001-01-01 is not a date"),
        (("--from", "2026-01-01", "--to", "9999-12-31T23:59-12:00"), "9999-12-31T23:59-12:00 is not a date"),
        (("--from", "2026-01-02", "--to", "2026-01-02"), "end after it starts"),
        (("--from", "2026-01-01", "--to", "2026-01-02", "--yes"), "Give a reason"),
    ],
)
def test_command_rejects_invalid_arguments(arguments: tuple[str, ...], output: str, db: None) -> None:
    with pytest.raises(CommandError, match=output):
        run(*arguments)
