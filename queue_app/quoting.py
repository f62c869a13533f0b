"""Dry runs over HTTP: what a call would cost and where it would go, instead of the call."""

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from pydantic import Field

from aiinfra.api import ApiModel, Header, json_response
from aiinfra.failures import ApiError
from aiinfra.money import Dollars, dollars
from queue_app.submission.dry_run import dry_run
from queue_app.submission.submission import Submission

DRY_RUN = "x-aiinfra-dry-run"


class QuotedCost(ApiModel):
    """What a call would cost: with the shortest answer, with one of the usual length, and at most."""

    currency: Literal["USD"] = "USD"
    low: Dollars
    expected: Dollars
    most: Dollars


class DryRunOut(ApiModel):
    """What would happen to a call. Nothing was called, and nothing was written."""

    provider: str
    model: str
    fallbacks: Annotated[list[str], Field(description="provider/model of what would be tried next, in order")]
    cost: QuotedCost
    budget_remaining: Annotated[Dollars | None, Field(description="in the tightest blocking budget; null without one")]
    fits_budget: bool
    position: Annotated[int, Field(description="approximate place in the organization's queue")]


def is_dry_run(request: HttpRequest) -> bool:
    """Whether the client asks for a quote. Raises ApiError 400 for anything but true and false."""
    asked = request.headers.get(DRY_RUN, "false").lower()
    if asked not in {"true", "false"}:
        raise ApiError(400, "invalid_request", "Use true or false.", param=DRY_RUN)
    return asked == "true"


DRY_RUN_HEADER = Header(
    DRY_RUN,
    {"type": "boolean"},
    "Whether to return a quote instead of sending the call. It applies to calls without an action.",
    is_dry_run,
)


def quoted(submission: Submission) -> HttpResponse:
    """The answer to a dry run. Raises what `dry_run` raises."""
    found = dry_run(submission)
    quote = found.quote
    out = DryRunOut(
        provider=quote.provider,
        model=quote.model,
        fallbacks=[f"{provider}/{model}" for provider, model in found.fallbacks],
        cost=QuotedCost(
            low=dollars(quote.low_nano), expected=dollars(quote.expected_nano), most=dollars(quote.most_nano)
        ),
        budget_remaining=None if quote.left_nano is None else dollars(quote.left_nano),
        fits_budget=quote.fits,
        position=found.position,
    )
    response = json_response(out)
    response[DRY_RUN] = "true"
    return response
