"""`/api/ai/queue`: the queue's JSON API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.http import HttpResponse

from aiinfra.api import ApiCall, Endpoint, NoParameters, Operation, Removed
from aiinfra.failures import ApiError, not_found
from aiinfra.providers.base import Dialect
from aiinfra.python_api import InvalidValueError
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.key_access import KeyAccess, with_default_tags
from aiinfra.tenants.security_log.reading import note_reading
from cost_app.facade import BudgetBusyError, BudgetExceededError, ModelNotPricedError
from queue_app import control
from queue_app.archive.showing import archived_with, sentence
from queue_app.models import AIRequest, Priority
from queue_app.payloads import (
    Accepted,
    CallOptions,
    EnqueueRequest,
    LaneReference,
    ListQuery,
    Message,
    MessageWithText,
    OwnCallOptions,
    Paused,
    QueueStatsOut,
    RequestOut,
    RequestPage,
    RequestReference,
    ResponseOut,
    UsageOut,
    priority_name,
    turn_schema,
)
from queue_app.presenting import page_out, request_out, stats_out
from queue_app.queries import request_by_id, status_of
from queue_app.quoting import DRY_RUN, DRY_RUN_HEADER, DryRunOut, is_dry_run, quoted
from queue_app.request_lists import RequestFilter, page_of
from queue_app.stats.summary import queue_stats
from queue_app.submission.from_payload import NO_HEADERS, submission_from
from queue_app.submission.intake import IdempotencyConflictError, accept
from queue_app.submission.key_rates import KeyRateError
from queue_app.submission.room import QueueFullError
from queue_app.submission.submission import Submission

__all__ = [
    "DRY_RUN",
    "DRY_RUN_HEADER",
    "CallOptions",
    "DryRunOut",
    "Message",
    "MessageWithText",
    "OwnCallOptions",
    "ResponseOut",
    "UsageOut",
    "check_model",
    "contract_errors",
    "is_dry_run",
    "queue",
    "quoted",
    "request_out",
    "submission_of",
    "turn_schema",
]


@contextmanager
def contract_errors() -> Iterator[None]:
    """Turn the queue's errors into the contract's error responses."""
    try:
        yield
    except InvalidValueError as error:
        raise ApiError(400, "invalid_request", error.message, param=error.field) from None
    except IdempotencyConflictError as error:
        raise ApiError(409, "idempotency_conflict", str(error), param="Idempotency-Key") from None
    except QueueFullError as error:
        raise ApiError(429, "queue_full", str(error), headers=_retry_after(error.retry_after_s)) from None
    except KeyRateError as error:
        raise ApiError(429, "rate_limited", str(error), headers=_retry_after(error.retry_after_s)) from None
    except BudgetBusyError as error:
        raise ApiError(429, "budget_busy", str(error), headers=_retry_after(error.retry_after_s)) from None
    except BudgetExceededError as error:
        raise ApiError(402, "budget_exceeded", str(error)) from None
    except (control.WrongStatusError, control.ContentGoneError) as error:
        raise ApiError(409, "wrong_status", str(error), param="requestId") from None
    except ModelNotPricedError as error:
        message = f"{error} Check the name, or ask an admin to add a price."
        raise ApiError(422, "model_not_priced", message, param="model") from None


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def submission_of(
    call: ApiCall,
    options: CallOptions,
    provider: str,
    model: str,
    alias: str = "",
    *,
    dialect: Dialect = Dialect.OPENAI,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Submission:
    """The submission that a client's options describe, with the defaults of its key. `alias` is what the client
    called the model.

    Raises InvalidValueError for a call that cannot be sent, and ApiError 404 for a model that the key may not use.
    """
    access = call.principal.limits.access
    check_model(access, provider, model, alias)
    return submission_from(
        with_defaults(options, access),
        organization_id=call.principal.organization_id,
        provider=provider,
        model=model,
        alias=alias,
        api_key_id=call.principal.api_key_id,
        key_limits=call.principal.limits,
        log_in=call.http.user.get_username() if call.principal.user_id else "",
        idempotency_key=call.idempotency_key,
        dialect=dialect,
        headers=headers,
        key_webhook=access.webhook,
    )


def check_model(access: KeyAccess, provider: str, model: str, alias: str = "") -> None:
    """Raise ApiError 404 for a model that a key may not use, as OpenAI and Anthropic do."""
    if not access.allows_model(provider, model, alias):
        message = f"The model `{alias or model}` does not exist or you do not have access to it."
        raise ApiError(404, "model_not_found", message, param="model")


def with_defaults(options: CallOptions, access: KeyAccess) -> CallOptions:
    """The options with a key's tags, and its priority if the call names none."""
    changes: dict[str, object] = {}
    if access.tags:
        changes["tags"] = with_default_tags(options.tags, access)
    if access.priority and "priority" not in options.model_fields_set:
        changes["priority"] = access.priority
    return options.model_copy(update=changes) if changes else options


def enqueue(call: ApiCall, payload: EnqueueRequest) -> Accepted | HttpResponse:
    """Add a request to the queue, or quote it. A reused idempotency key returns the first response again."""
    with contract_errors():
        submission = submission_of(call, payload, payload.provider, payload.model)
        if is_dry_run(call.http):
            return quoted(submission)
        request = accept(submission)
    return Accepted(
        request_id=str(request.id),
        status="pending",
        cached=False,
        position=request.accepted_position,
        message="The request is queued.",
    )


def get_stats(_call: ApiCall, _payload: NoParameters) -> QueueStatsOut:
    """The organization's figures."""
    return stats_out(queue_stats())


def get_status(call: ApiCall, payload: RequestReference) -> RequestOut:
    """One request with its attempts."""
    request = _request(payload.request_id)
    status = status_of(request, with_content=call.principal.can("content:read"))
    if status.response is not None and not _is_its_own(call.principal, request):
        note_reading(call.principal, f"request {request.id}")
    return request_out(status)


def _is_its_own(principal: Principal, request: AIRequest) -> bool:
    """Whether an API key fetches the answer to its own request, which is not recorded as reading content."""
    return principal.api_key_id is not None and principal.api_key_id == request.api_key_id


def get_list(_call: ApiCall, payload: ListQuery) -> RequestPage:
    """A page of requests, newest first."""
    narrowed = RequestFilter(
        status=payload.status or "", priority=Priority[payload.priority.upper()] if payload.priority else None
    )
    try:
        return page_out(page_of(narrowed, payload.cursor))
    except ValueError:
        raise ApiError(400, "invalid_request", "This cursor is invalid.", param="cursor") from None


def run_cleanup(call: ApiCall, _payload: NoParameters) -> Removed:
    """Apply the organization's retention policy now."""
    return Removed(removed=control.clean_up(call.principal.organization_id, actor=call.principal.actor))


def cancel(call: ApiCall, payload: RequestReference) -> RequestOut:
    """Cancel a request. It ends without an answer."""
    request = _request(payload.request_id)
    with contract_errors():
        control.cancel(request, actor=call.principal.actor)
    return get_status(call, payload)


def retry(call: ApiCall, payload: RequestReference) -> RequestOut:
    """Run a failed or cancelled request again."""
    request = _request(payload.request_id)
    with contract_errors():
        control.retry(request, actor=call.principal.actor)
    return get_status(call, payload)


def pause(call: ApiCall, payload: LaneReference) -> Paused:
    """Stop starting requests of one priority, or of all."""
    return _paused(control.pause(call.principal.organization_id, _lane(payload), actor=call.principal.actor))


def resume(call: ApiCall, payload: LaneReference) -> Paused:
    """Resume a paused priority, or all of them."""
    return _paused(control.resume(call.principal.organization_id, _lane(payload), actor=call.principal.actor))


def _lane(payload: LaneReference) -> Priority | None:
    return Priority[payload.priority.upper()] if payload.priority else None


def _paused(weights: list[int]) -> Paused:
    return Paused(paused=[priority_name(weight) for weight in weights])


def _request(request_id: str) -> AIRequest:
    request = request_by_id(request_id)
    if request is None:
        archived = archived_with(request_id)
        raise ApiError(404, "not_found", sentence(archived)) if archived else not_found()
    return request


queue = Endpoint(
    {
        ("GET", "stats"): Operation(get_stats, "queue:read", NoParameters, QueueStatsOut, "Get queue statistics"),
        ("GET", "status"): Operation(get_status, "queue:read", RequestReference, RequestOut, "Get a request"),
        ("GET", "list"): Operation(get_list, "queue:read", ListQuery, RequestPage, "List requests"),
        ("GET", "cleanup"): Operation(
            run_cleanup, "queue:cleanup", NoParameters, Removed, "Apply the retention policy", key_only=True
        ),
        ("POST", None): Operation(
            enqueue,
            "queue:write",
            EnqueueRequest,
            Accepted,
            "Enqueue a request",
            status=202,
            also=((200, DryRunOut),),
            headers=(DRY_RUN_HEADER,),
            once="own",
            door="queue",
        ),
        ("POST", "cleanup"): Operation(
            run_cleanup, "queue:cleanup", NoParameters, Removed, "Apply the retention policy", once="claimed"
        ),
        ("POST", "cancel"): Operation(
            cancel, "queue:write", RequestReference, RequestOut, "Cancel a request", once="claimed"
        ),
        ("POST", "retry"): Operation(
            retry, "queue:write", RequestReference, RequestOut, "Retry a request", once="claimed"
        ),
        ("POST", "pause"): Operation(pause, "queue:admin", LaneReference, Paused, "Pause a priority", once="claimed"),
        ("POST", "resume"): Operation(
            resume, "queue:admin", LaneReference, Paused, "Resume a priority", once="claimed"
        ),
    }
)
