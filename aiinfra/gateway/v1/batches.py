"""`/v1/batches`: OpenAI's batches, on the queue."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from django.db.models import QuerySet
from django.http import HttpResponse
from pydantic import BaseModel, Field, StringConstraints

from aiinfra.api import ApiCall, Operation
from aiinfra.batches import files, progress
from aiinfra.batches.models import Batch, BatchStatus, Purpose, StoredFile
from aiinfra.failures import ApiError
from aiinfra.gateway.batches import line_calls
from aiinfra.gateway.batches.creating import BatchTerms, create_batch, quote_batch
from aiinfra.gateway.batches.line_endpoints import LINE_ENDPOINTS
from aiinfra.gateway.v1.call_headers import asked_in_headers, options_from
from aiinfra.gateway.v1.dry_run import costs_of
from aiinfra.gateway.v1.files import BodylessEndpoint, SnakeModel, find_file, first_owner, owner_of, user_of
from aiinfra.gateway.v1.vendor_endpoint import OpenAIEndpoint, json_of
from aiinfra.tenants import audit
from queue_app.api import DRY_RUN, contract_errors, is_dry_run
from queue_app.facade import check_webhook

RUN_WHEN = "x-aiinfra-run-when"
"""A header, or a member of the metadata: `now`, or `cheap` for the cheapest hours of each model."""
WINDOW_H_MAX = 168


class OutputExpiry(SnakeModel):
    """How long result files are kept, if less than other content."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3_600, le=2_592_000)]


class NewBatch(SnakeModel):
    """A batch to create."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: (
        Annotated[
            dict[
                Annotated[str, StringConstraints(max_length=64)],
                Annotated[str, StringConstraints(max_length=512)],
            ],
            Field(max_length=16),
        ]
        | None
    ) = None
    output_expires_after: OutputExpiry | None = None


class BatchQuery(SnakeModel):
    """Which batches to list."""

    after: str = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class BatchReference(SnakeModel):
    """One batch."""

    batch_id: str


class BatchObject(BaseModel):
    """A batch, as OpenAI describes it; times in seconds since 1970."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: dict[str, Any] | None
    input_file_id: str
    completion_window: str
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: dict[str, int]
    usage: dict[str, Any]
    metadata: dict[str, str]


class BatchList(BaseModel):
    """A page of batches."""

    object: Literal["list"] = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


def create(call: ApiCall, payload: NewBatch) -> BatchObject | HttpResponse:
    """Create a batch, or quote it."""
    terms = _terms(call, payload)
    file = find_file(call, payload.input_file_id, "input_file_id")
    if file.purpose != Purpose.BATCH:
        raise ApiError(400, "invalid_request", "The purpose of the file is not batch.", param="input_file_id")
    if is_dry_run(call.http):
        if call.idempotency_key is not None:
            raise ApiError(400, "invalid_request", "A dry run has no answer to keep.", param="Idempotency-Key")
        return _quoted(call, file, terms)
    return shown(create_batch(owner_of(call), file, terms, call.principal.user_id))


def _asked_besides(call: ApiCall) -> tuple[object, ...]:
    """What distinguishes two requests with the same body."""
    return *first_owner(call), asked_in_headers(call.http), call.http.headers.get(RUN_WHEN)


def list_batches(call: ApiCall, query: BatchQuery) -> BatchList:
    """A page of batches, newest first."""
    after = find_batch(call, query.after, "after") if query.after else None
    page, more = files.page_of(visible_batches(call), after, query.limit)
    data = list(map(shown, page))
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return BatchList(data=data, first_id=ends[0], last_id=ends[1], has_more=more)


def get_batch(call: ApiCall, query: BatchReference) -> BatchObject:
    """One batch."""
    return shown(find_batch(call, query.batch_id))


def cancel(call: ApiCall, query: BatchReference) -> BatchObject:
    """Send no further calls of a batch, and cancel those that are in the queue."""
    batch = find_batch(call, query.batch_id)
    if not cancel_batch(batch, call.principal.actor):
        raise ApiError(400, "invalid_request", f"A batch with the status {batch.status} can't be cancelled.")
    return get_batch(call, query)


def cancel_batch(batch: Batch, actor: str) -> bool:
    """Cancel a batch, and record who did. False if it can no longer be cancelled."""
    if not progress.begin_to_cancel(batch, actor):
        return False
    audit.record(organization_id=batch.organization_id, actor=actor, verb="batch.cancelled", target=str(batch))
    return True


def visible_batches(call: ApiCall) -> "QuerySet[Batch]":
    """The batches that the caller may see."""
    return files.visible(Batch.objects.all(), call.principal, user_of(call))


def find_batch(call: ApiCall, batch_id: str, param: str | None = None) -> Batch:
    """One of them. Raises ApiError 404."""
    known = files.row_id(batch_id, Batch.PREFIX)
    found = visible_batches(call).filter(id=known).first() if known else None
    if found is None:
        raise ApiError(404, "not_found", f"No batch found with id '{batch_id}'.", param=param)
    return found


def shown(batch: Batch) -> BatchObject:
    """A batch in OpenAI's format. Its result files appear once they are complete."""
    ended = {batch.status: _seconds(batch.finished_at)}
    return BatchObject(
        id=str(batch),
        endpoint=batch.endpoint,
        errors={"object": "list", "data": batch.errors} if batch.errors else None,
        input_file_id=f"{StoredFile.PREFIX}{batch.input_id.hex}",
        completion_window=f"{batch.window_h}h",
        status=batch.status,
        output_file_id=_file_id(batch, batch.output_id),
        error_file_id=_file_id(batch, batch.error_id),
        created_at=int(batch.created_at.timestamp()),
        in_progress_at=_seconds(batch.in_progress_at),
        expires_at=int(batch.expires_at.timestamp()),
        finalizing_at=_seconds(batch.finalizing_at),
        completed_at=ended.get(BatchStatus.COMPLETED),
        failed_at=ended.get(BatchStatus.FAILED),
        expired_at=_seconds(batch.expired_at),
        cancelling_at=_seconds(batch.cancelling_at),
        cancelled_at=ended.get(BatchStatus.CANCELLED),
        request_counts={"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        usage=_usage(batch),
        metadata=batch.metadata,
    )


def _terms(call: ApiCall, payload: NewBatch) -> BatchTerms:
    endpoint = LINE_ENDPOINTS.get(payload.endpoint)
    if endpoint is None:
        message = f"Use one of {', '.join(LINE_ENDPOINTS)}."
        raise ApiError(400, "invalid_request", message, param="endpoint")
    endpoint.check(call)
    options = options_from(call.http, {"messages": [{"role": "user", "content": "-"}]})  # checks the headers
    if options.webhook is not None:
        with contract_errors():
            check_webhook(options.webhook, call.principal.api_key_id)
    return BatchTerms(
        endpoint=payload.endpoint,
        window_h=_window_h(payload.completion_window),
        metadata=payload.metadata or {},
        options=line_calls.options_of(call.http),
        when_cheap=_runs_when_cheap(call, payload.metadata or {}),
        output_seconds=payload.output_expires_after.seconds if payload.output_expires_after else None,
        webhook=options.webhook or call.principal.limits.access.webhook,
    )


def _window_h(text: str) -> int:
    """Hours. Raises ApiError 400."""
    if not re.fullmatch(r"[1-9][0-9]{0,2}h", text) or int(text[:-1]) > WINDOW_H_MAX:
        raise ApiError(400, "invalid_request", f"Use 24h, or 1h to {WINDOW_H_MAX}h.", param="completion_window")
    return int(text[:-1])


def _runs_when_cheap(call: ApiCall, metadata: dict[str, str]) -> bool:
    asked = call.http.headers.get(RUN_WHEN) or metadata.get(RUN_WHEN) or "now"
    if asked not in {"now", "cheap"}:
        raise ApiError(400, "invalid_request", "Use now or cheap.", param=RUN_WHEN)
    return asked == "cheap"


def _quoted(call: ApiCall, file: StoredFile, terms: BatchTerms) -> HttpResponse:
    quote = quote_batch(call, file, terms)
    body = {
        "object": "aiinfra.dry_run",
        "requests": quote.lines,
        "requests_quoted": quote.quoted,
        "requests_refused": quote.refused,
        **costs_of(quote),
    }
    return json_of(body, headers={DRY_RUN: "true"})


def _file_id(batch: Batch, file_id: Any) -> str | None:
    return f"{StoredFile.PREFIX}{file_id.hex}" if file_id and batch.finished_at else None


def _seconds(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def _usage(batch: Batch) -> dict[str, Any]:
    return {
        "input_tokens": batch.input_tokens,
        "input_tokens_details": {"cached_tokens": batch.cached_tokens},
        "output_tokens": batch.output_tokens,
        "output_tokens_details": {"reasoning_tokens": batch.reasoning_tokens},
        "total_tokens": batch.input_tokens + batch.output_tokens,
    }


batches_endpoint = OpenAIEndpoint(
    {
        ("GET", None): Operation(list_batches, "chat:write", BatchQuery, BatchList, "List batches (OpenAI)"),
        ("POST", None): Operation(
            create, "chat:write", NewBatch, BatchObject, "Create a batch (OpenAI)", once_with=_asked_besides
        ),
    }
)
batch_endpoint = OpenAIEndpoint(
    {("GET", None): Operation(get_batch, "chat:write", BatchReference, BatchObject, "Get a batch (OpenAI)")}
)
batch_cancel_endpoint = BodylessEndpoint(
    {
        ("POST", None): Operation(
            cancel, "chat:write", BatchReference, BatchObject, "Cancel a batch (OpenAI)", once_with=first_owner
        )
    }
)
