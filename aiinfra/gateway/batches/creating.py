"""Quotes and creates batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from aiinfra.api import ApiCall
from aiinfra.batches import files
from aiinfra.batches.files import Owner
from aiinfra.batches.jsonl import Line, lines_of
from aiinfra.batches.models import Batch, StoredFile
from aiinfra.failures import ApiError
from aiinfra.gateway.batches import line_calls
from aiinfra.gateway.batches.line_endpoints import LINE_ENDPOINTS, LineEndpoint
from queue_app.api import contract_errors
from queue_app.facade import DryRun, dry_run

QUOTED_MAX = 100
"""Lines that a quote samples, evenly spread over the file."""


@dataclass(frozen=True)
class BatchTerms:
    """What a client asks for. `options` are the headers for every call."""

    endpoint: str
    window_h: int
    metadata: Mapping[str, str]
    options: Mapping[str, str]
    when_cheap: bool = False
    output_seconds: int | None = None
    webhook: str = ""


@dataclass(frozen=True)
class BatchQuote:
    """The total cost of a batch's calls, in nano-dollars.

    `quoted` of the `lines` were sampled, and `refused` of those can't be called; the sums are scaled to all lines.
    """

    lines: int
    quoted: int
    refused: int
    low_nano: int
    expected_nano: int
    most_nano: int
    left_nano: int | None

    @property
    def fits(self) -> bool:
        """Whether the budgets have room for its maximum cost."""
        return self.left_nano is None or self.most_nano <= self.left_nano


def create_batch(owner: Owner, file: StoredFile, terms: BatchTerms, user_id: int | None) -> Batch:
    """Store a batch for the scheduler to run. Raises ApiError 400 above the limit."""
    unfinished = Batch.objects.filter(organization_id=owner.organization_id, finished_at=None).count()
    if unfinished >= settings.BATCHES_PER_ORGANIZATION:
        message = f"Your organization has {unfinished} unfinished batches. Wait for one of them, or cancel it."
        raise ApiError(400, "batch_limit_exceeded", message)
    now = timezone.now()
    return Batch.objects.create(
        organization_id=owner.organization_id,
        endpoint=terms.endpoint,
        window_h=terms.window_h,
        metadata=dict(terms.metadata),
        options=dict(terms.options),
        when_cheap=terms.when_cheap,
        output_seconds=terms.output_seconds,
        webhook=terms.webhook or None,
        input_id=file.id,
        api_key_id=owner.api_key_id,
        user_id=user_id,
        user_ref=owner.user_ref,
        created_at=now,
        expires_at=now + timedelta(hours=terms.window_h),
    )


def quote_batch(call: ApiCall, file: StoredFile, terms: BatchTerms) -> BatchQuote:
    """What a batch would cost. Nothing is written, and no provider is called."""
    endpoint = LINE_ENDPOINTS[terms.endpoint]
    low_priority = line_calls.with_headers(dict(terms.options), call.principal, call.http.user)
    sample = list(_sample(file))
    found = [quote for line in sample if line.url == terms.endpoint and (quote := _quote(low_priority, endpoint, line))]
    sums = [sum(getattr(each.quote, name) for each in found) for name in ("low_nano", "expected_nano", "most_nano")]
    low, expected, most = (-(-each * file.lines // max(len(sample), 1)) for each in sums)
    left = min((each.quote.left_nano for each in found if each.quote.left_nano is not None), default=None)
    return BatchQuote(file.lines, len(sample), len(sample) - len(found), low, expected, most, left)


def _sample(file: StoredFile) -> Iterator[Line]:
    """At most `QUOTED_MAX` lines, with one chunk in memory at a time."""
    step = -(-file.lines // QUOTED_MAX)
    lines = (line for chunk in files.content_of(file) for line in lines_of(chunk))
    return (line for index, line in enumerate(lines) if index % step == 0)


def _quote(call: ApiCall, endpoint: LineEndpoint, line: Line) -> DryRun | None:
    """None for a line that would be refused."""
    raw: dict[str, Any] = line.body
    try:
        with contract_errors():
            return dry_run(
                endpoint.submission(call, line_calls.body_of(call, endpoint, raw)), has_answer=not endpoint.send
            )
    except ApiError:
        return None
