"""`/api/ai/chat`: the main endpoint for applications."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from django.http import HttpResponse
from pydantic import Field, StringConstraints

from aiinfra.api import ApiCall, ApiModel, Endpoint, Operation, json_response
from aiinfra.failures import ApiError
from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.gateway.lane import calling
from aiinfra.gateway.unstored import unstored_error
from aiinfra.gateway.waiting import NothingStoredError, TooManyWaitingError, Visit, waiting_room
from aiinfra.money import Dollars, dollars
from aiinfra.providers.registry import is_configured, provider_names
from aiinfra.tenants.key_access import ANY_ACCESS, KeyAccess
from cache_app import create_semantic_cache
from cost_app import create_cost_optimizer
from queue_app.api import (
    DRY_RUN_HEADER,
    DryRunOut,
    OwnCallOptions,
    ResponseOut,
    UsageOut,
    contract_errors,
    is_dry_run,
    quoted,
    request_out,
    submission_of,
)
from queue_app.facade import (
    ENDED,
    AIRequest,
    CacheMissError,
    DirectCall,
    RequestStatus,
    Status,
    Submission,
    request_by_id,
    status_of,
    submit,
)

cache = create_semantic_cache()

PREFERRED = [("deepseek", "deepseek-chat"), ("openai", "gpt-3.5-turbo"), ("anthropic", "claude-haiku-4-5")]
"""Preferred when the client does not choose: the specification's cost-effective model comes before all others."""
WAIT_MARGIN_S = 5.0
"""Added to the request's own timeout, for queueing and for storing the answer."""


RETRY_AFTER_FULL_S = "2"
"""A slot is free again as soon as one answer has arrived."""


class ChatRequest(OwnCallOptions):
    """A chat request; uses the default model if none is given."""

    provider: Annotated[str, StringConstraints(min_length=1, max_length=32)] | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    wait: bool = Field(default=False, description="hold the connection open until the answer is ready")


class ChatQueued(ApiModel):
    """The request is queued; poll `/api/ai/queue?action=status` for the answer."""

    cached: bool
    request_id: str
    message: str


class ChatAnswered(ApiModel):
    """The answer."""

    cached: bool
    request_id: str
    response: ResponseOut
    usage: UsageOut | None
    cost: Dollars
    cost_estimated: Annotated[bool, Field(description="true until the provider reports the actual cost")] = False
    similarity: float | None = None
    entry_id: Annotated[str | None, Field(description="of the cache, for reporting a wrong answer")] = None


def chat(call: ApiCall, payload: ChatRequest) -> HttpResponse:
    """Answer from the cache, or queue the request and, if the client waits, answer on the same connection.

    A dry run gets a quote instead.
    """
    provider, model = choose_model(payload.provider, payload.model, call.principal.limits.access)
    with contract_errors():
        submission = submission_of(call, payload, provider, model)
        if is_dry_run(call.http):
            return quoted(submission)
        if payload.wait and waiting_room.is_open:
            return _waited(submission, ClientSocket(call.http.META))
        request = ask(submission)
    return _answer(status_of(request, with_content=True)) if request.cached else _queued(request)


def _waited(submission: Submission, client: ClientSocket) -> HttpResponse:
    """The answer; 202 only after the timeout."""
    request = ask_and_wait(submission, client)
    return _answer(status_of(request, with_content=True)) if request.status in ENDED else _queued(request)


def can_wait() -> bool:
    """Whether this process lets clients wait."""
    return waiting_room.is_open


def ask_and_wait(submission: Submission, client: ClientSocket) -> AIRequest:
    """The request, which has ended unless the timeout passed or the client left.

    Raises ApiError 429 before anything is stored if no slot is free, 503 if the answer cannot be stored, and everything
    that `submit` raises.
    """
    with visiting(submission.organization_id, client) as visit:
        direct = DirectCall()
        request = ask(submission, before_queueing=visit.take_slot, starter=direct)
        if direct.has_started:
            request = calling.make(direct)
        if request.status in ENDED:
            return request
        try:
            visit.wait(request.id, longest_wait_s(submission))
        except NothingStoredError:
            raise unstored_error(request) from None
    return request_by_id(request.id) or request


@contextmanager
def visiting(organization_id: int, client: ClientSocket) -> Iterator[Visit]:
    """Context for a call whose client may have to wait. Raises ApiError 429 if no slot is free."""
    try:
        with waiting_room.visit(organization_id, client) as visit:
            yield visit
    except TooManyWaitingError:
        message = "Too many clients are waiting for answers. The request was not accepted. Try again later."
        raise ApiError(429, "too_many_waiting", message, headers={"Retry-After": RETRY_AFTER_FULL_S}) from None


def longest_wait_s(submission: Submission) -> float:
    """How long a client waits in the queue, in seconds."""
    return submission.timeout_ms / 1000 + WAIT_MARGIN_S


def _queued(request: AIRequest) -> HttpResponse:
    queued = ChatQueued(cached=False, request_id=str(request.id), message="The request is queued.")
    return json_response(queued, 202)


def ask(
    submission: Submission, before_queueing: Callable[[], None] = lambda: None, starter: DirectCall | None = None
) -> AIRequest:
    """Submit a call. Raises ApiError 404 if only the cache was asked and has no answer, and what `submit` raises."""
    try:
        return submit(submission, before_queueing, starter)
    except CacheMissError as error:
        message = f"The cache has no answer for this cache-only request: {error}"
        raise ApiError(404, "cache_miss", message) from None


def choose_model(provider: str | None, model: str | None, access: KeyAccess = ANY_ACCESS) -> tuple[str, str]:
    """Complete provider and model from the price book: the first match that the key may use, preferred models before
    all others; one that it may not use if there is no other.

    Raises ApiError 400 if nothing matches.
    """
    if provider and model:
        return provider, model
    named = [(name, model) for name in provider_names()] if model else None
    known = [pair for pair in create_cost_optimizer().priced_models(named) if is_configured(pair[0])]
    known.sort(key=lambda pair: pair not in PREFERRED)
    known.sort(key=lambda pair: pair[0] != PREFERRED[0][0])
    fitting = [each for each in known if provider in (None, each[0]) and model in (None, each[1])]
    if fitting:
        return next((each for each in fitting if access.allows_model(*each)), fitting[0])
    param = "provider" if provider else "model"
    raise ApiError(400, "invalid_request", f"Unknown {param}.", param=param)


def _answer(status: RequestStatus) -> HttpResponse:
    if status.status == Status.CANCELLED:
        raise ApiError(409, "cancelled", "The request was cancelled.")
    if status.status == Status.FAILED:
        raise ApiError(502, "provider_error", f"{status.request.error_code}: {status.request.error_message}")
    out = request_out(status)
    if out.response is None:
        raise ApiError(409, "content_gone", "The answer to this idempotency key was deleted by retention.")
    hit = cache.hit_of(status.request.id) if out.cached else None
    answered = ChatAnswered(
        cached=out.cached,
        request_id=out.request_id,
        response=out.response,
        usage=out.usage,
        cost=dollars(status.cost_nano),
        cost_estimated=status.is_cost_estimated,
        similarity=round(hit.similarity, 4) if hit else None,
        entry_id=hit.entry_id if hit else None,
    )
    return json_response(answered)


chat_endpoint = Endpoint(
    {
        ("POST", None): Operation(
            chat,
            "chat:write",
            ChatRequest,
            ChatAnswered,
            "Send a chat request",
            also=((200, DryRunOut), (202, ChatQueued)),
            headers=(DRY_RUN_HEADER,),
            once="own",
            door="chat",
        ),
    }
)
