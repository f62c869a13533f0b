"""`x-aiinfra-dry-run`: what a call would cost and where it would go, instead of the call."""

from django.http import HttpRequest, HttpResponse

from aiinfra.failures import ApiError
from aiinfra.gateway.v1.door import json_of
from aiinfra.money import dollars
from queue_app.facade import Submission, dry_run

HEADER = "x-aiinfra-dry-run"


def is_dry_run(request: HttpRequest) -> bool:
    """Whether the client asks for a quote. Raises ApiError 400 for anything but true and false."""
    asked = request.headers.get(HEADER, "false").lower()
    if asked not in {"true", "false"}:
        raise ApiError(400, "invalid_request", "Use true or false.", param=HEADER)
    return asked == "true"


def quoted(submission: Submission, *, has_answer: bool = True) -> HttpResponse:
    """The answer to a dry run. Raises what `dry_run` raises."""
    found = dry_run(submission, has_answer=has_answer)
    quote = found.quote
    body = {
        "object": "aiinfra.dry_run",
        "provider": quote.provider,
        "model": quote.model,
        "fallbacks": [f"{provider}/{model}" for provider, model in found.fallbacks],
        "cost": {
            "currency": "USD",
            "low": dollars(quote.low_nano),
            "expected": dollars(quote.expected_nano),
            "most": dollars(quote.most_nano),
        },
        "budget_remaining": None if quote.left_nano is None else dollars(quote.left_nano),
        "fits_budget": quote.fits,
        "position": found.position,
    }
    return json_of(body, headers={HEADER: "true"})
