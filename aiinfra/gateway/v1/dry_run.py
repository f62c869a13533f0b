"""Dry runs under `/v1`: what a call would cost and where it would go, instead of the call."""

from typing import Any, Protocol

from django.http import HttpResponse

from aiinfra.gateway.v1.vendor_endpoint import json_of
from aiinfra.money import dollars
from queue_app.api import DRY_RUN
from queue_app.facade import Submission, dry_run


class Costs(Protocol):
    """The costs in a quote, in nano-dollars."""

    @property
    def low_nano(self) -> int: ...
    @property
    def expected_nano(self) -> int: ...
    @property
    def most_nano(self) -> int: ...
    @property
    def left_nano(self) -> int | None: ...
    @property
    def fits(self) -> bool: ...


def costs_of(quote: Costs) -> dict[str, Any]:
    """The cost members of a dry run's response."""
    return {
        "cost": {
            "currency": "USD",
            "low": dollars(quote.low_nano),
            "expected": dollars(quote.expected_nano),
            "most": dollars(quote.most_nano),
        },
        "budget_remaining": None if quote.left_nano is None else dollars(quote.left_nano),
        "fits_budget": quote.fits,
    }


def quoted(submission: Submission, *, has_answer: bool = True) -> HttpResponse:
    """The answer to a dry run. Raises what `dry_run` raises."""
    found = dry_run(submission, has_answer=has_answer)
    quote = found.quote
    body = {
        "object": "aiinfra.dry_run",
        "provider": quote.provider,
        "model": quote.model,
        "fallbacks": [f"{provider}/{model}" for provider, model in found.fallbacks],
        **costs_of(quote),
        "position": found.position,
    }
    return json_of(body, headers={DRY_RUN: "true"})
