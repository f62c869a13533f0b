"""The public door of the queue: other apps and Python callers import this and nothing behind it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from queue_app import claims, outcomes, processing, requests, stats
from queue_app.asking import ask
from queue_app.claims import Claim
from queue_app.cleanup import cleanup
from queue_app.intake import Submission, accept
from queue_app.models import AIRequest, Priority
from queue_app.requests import RequestStatus
from queue_app.stats import QueueStats

PriorityName = Literal["low", "normal", "high", "critical"]


class RequestNotFoundError(LookupError):
    """There is no such request."""


@dataclass(frozen=True)
class QueuedRequest:
    """A request that `dequeue` claimed for its caller, who ends it with `process` or `give_back` within the lease."""

    id: str
    organization_id: str
    provider: str
    model: str
    messages: Sequence[Mapping[str, Any]]
    priority: PriorityName
    claim: Claim


class AIRequestQueue:
    """The request queue for Python callers. `organization_id` is the organization's slug."""

    def enqueue(self, provider: str, model: str, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        """Accept a request; returns its id. `options` are those of `_submission`.

        Raises RequestNotFoundError for an unknown organization, UnknownProviderError, ModelNotPricedError,
        BudgetRefusedError, QueueFullError.
        """
        with _submission(provider, model, messages, **options) as submission:
            return str(accept(submission).id)

    def ask(self, provider: str, model: str, messages: Sequence[Mapping[str, Any]], **options: Any) -> AIRequest:
        """As `enqueue`, but the cache is asked first: the request is over at once where it answers."""
        with _submission(provider, model, messages, **options) as submission:
            return ask(submission)

    def dequeue(self) -> QueuedRequest | None:
        """Claim the best request of all organizations for the caller, for its timeout plus a lease; None if none waits.

        The caller ends it with `process` or `give_back`; else it goes to another worker. Raises RedisError.
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
        processing.process(queued.claim)

    def give_back(self, queued: QueuedRequest) -> None:
        """Return a claimed request to its place in the queue."""
        with organization_scope(queued.claim.request.organization_id):
            outcomes.give_back(queued.claim)

    def get_request_status(self, request_id: str) -> RequestStatus:
        """Status, attempts, answer and cost. Raises RequestNotFoundError."""
        with system_scope():
            request = requests.request_by_id(request_id)
            if request is None:
                raise RequestNotFoundError(f"no request {request_id!r}")
            return requests.status_of(request, with_content=True)

    def get_queue_stats(self) -> QueueStats:
        """The figures of all organizations together."""
        with system_scope():
            return stats.queue_stats()

    def cleanup(self) -> int:
        """Apply the retention now; returns the number of requests removed."""
        with system_scope():
            return cleanup()

    def disconnect(self) -> None:
        """Close this process's Redis connections; they open again when needed."""
        redis_client().connection_pool.disconnect()


@contextmanager
def _submission(
    provider: str,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    organization_id: str,
    priority: PriorityName = "normal",
    user_id: str = "",
    conversation_id: str = "",
    max_retries: int = 3,
    timeout: int = 30_000,
    **options: Any,
) -> Iterator[Submission]:
    """What a Python caller asks for, in its organization's scope. `timeout` in ms; `options` are the further fields of
    `Submission`."""
    organization = Organization.objects.filter(slug=organization_id).first()
    if organization is None:
        raise RequestNotFoundError(f"no organization {organization_id!r}")
    with organization_scope(organization.id):
        yield Submission(
            organization_id=organization.id,
            provider=provider,
            model=model,
            messages=[dict(message) for message in messages],
            priority=Priority[priority.upper()],
            user_ref=user_id,
            conversation_id=conversation_id,
            max_retries=max_retries,
            timeout_ms=timeout,
            **options,
        )


def priority_name(weight: int) -> PriorityName:
    """The name of a priority's weight."""
    return cast(PriorityName, Priority(weight).name.lower())
