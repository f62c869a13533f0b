"""The queue for Python callers. Import it from `queue_app.facade`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from aiinfra.python_api import checked, organization_named
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from queue_app import queries
from queue_app.models import AIRequest
from queue_app.ordering import claims
from queue_app.ordering.claims import Claim
from queue_app.payloads import (
    CacheMode,
    EnqueueArguments,
    PriorityName,
    RequestReference,
    ServiceTier,
    priority_name,
)
from queue_app.processing import outcomes, provider_call
from queue_app.queries import RequestStatus
from queue_app.repair.retention import cleanup
from queue_app.stats import summary
from queue_app.stats.summary import QueueStats
from queue_app.submission.from_payload import submission_from
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from queue_app.submission.submit import submit


class RequestNotFoundError(LookupError):
    """No request has this ID."""


@dataclass(frozen=True)
class QueuedRequest:
    """A request that `dequeue` claimed. The caller ends it with `process` or `give_back` before the lease expires."""

    id: str
    organization_id: str
    provider: str
    model: str
    messages: Sequence[Mapping[str, Any]]
    priority: PriorityName
    claim: Claim


class EnqueueOptions(TypedDict, total=False):
    """Optional arguments of `enqueue` and `ask`.

    The names, defaults and limits match `POST /api/ai/queue`: `timeout` applies to each provider call, in milliseconds;
    `cache` is one of use, bypass, refresh and only. Repeating an `idempotency_key` returns the first request.
    """

    priority: PriorityName
    user_id: str
    conversation_id: str
    max_retries: int
    timeout: int
    temperature: float | None
    max_tokens: int | None
    service_tier: ServiceTier | None
    parameters: Mapping[str, Any]
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    cache: CacheMode
    context_key: str
    webhook: str | None
    idempotency_key: str | None


class AIRequestQueue:
    """The request queue for Python callers. `organization_id` is the organization's slug.

    It rejects what the JSON API rejects: InvalidValueError, a ValueError, names the argument; UnknownOrganizationError,
    a LookupError, means that the organization does not exist. Nothing is stored in either case.
    """

    def enqueue(
        self,
        provider: str,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        organization_id: str,
        **options: Unpack[EnqueueOptions],
    ) -> str:
        """Accept a request. Returns its ID.

        Raises InvalidValueError (UnknownProviderError for a provider that is not configured), UnknownOrganizationError,
        ModelNotPricedError, BudgetRefusedError, QueueFullError and IdempotencyConflictError.
        """
        with _submission(provider, model, messages, organization_id, options) as submission:
            return str(accept(submission).id)

    def ask(
        self,
        provider: str,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        organization_id: str,
        **options: Unpack[EnqueueOptions],
    ) -> AIRequest:
        """Like `enqueue`, but check the cache first: on a hit the request is complete when this returns.

        Also raises CacheMissError if only the cache was asked.
        """
        with _submission(provider, model, messages, organization_id, options) as submission:
            return submit(submission)

    def dequeue(self) -> QueuedRequest | None:
        """Claim the best request of all organizations for its timeout plus a lease. Returns None if nothing is waiting.

        The caller ends it with `process` or `give_back`; otherwise it goes to another worker. Raises RedisError.
        """
        claim = claims.claim_next("caller")
        if claim is None:
            return None
        request = claim.request
        with organization_scope(request.organization_id):
            claims.hold_for_caller(claim)
        organization = Organization.objects.get(id=request.organization_id)
        return QueuedRequest(
            id=str(request.id),
            organization_id=organization.slug,
            provider=request.provider,
            model=request.model,
            messages=claim.call["messages"],
            priority=priority_name(request.priority),
            claim=claim,
        )

    def process(self, queued: QueuedRequest) -> None:
        """Call the provider for a claimed request and store the outcome."""
        provider_call.process(queued.claim)

    def give_back(self, queued: QueuedRequest) -> None:
        """Return a claimed request to its place in the queue."""
        with organization_scope(queued.claim.request.organization_id):
            outcomes.give_back(queued.claim)

    def get_request_status(self, request_id: str) -> RequestStatus:
        """Status, attempts, answer and cost. Raises RequestNotFoundError, and InvalidValueError if the ID is not a
        string.
        """
        reference = checked(RequestReference, {"request_id": request_id})
        with system_scope():
            request = queries.request_by_id(reference.request_id)
            if request is None:
                raise RequestNotFoundError(f"No request {request_id!r}.")
            return queries.status_of(request, with_content=True)

    def get_queue_stats(self) -> QueueStats:
        """Figures for all organizations together."""
        with system_scope():
            return summary.queue_stats()

    def cleanup(self) -> int:
        """Apply the retention policy now. Returns the number of requests deleted."""
        with system_scope():
            return cleanup()

    def disconnect(self) -> None:
        """Close this process's Redis connections. They reopen when needed."""
        redis_client().connection_pool.disconnect()


@contextmanager
def _submission(
    provider: str,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    organization_id: str,
    options: EnqueueOptions,
) -> Iterator[Submission]:
    """The submission that a Python caller describes, in the scope of its organization."""
    raw = {**options, "provider": provider, "model": model, "messages": messages}
    arguments = checked(EnqueueArguments, raw)
    organization = organization_named(organization_id)
    with organization_scope(organization.id):
        yield submission_from(
            arguments,
            organization_id=organization.id,
            provider=arguments.provider,
            model=arguments.model,
            idempotency_key=arguments.idempotency_key,
        )
