"""The direct lane: a process that waits with its client makes the call itself, if a worker would start it now.

A stream that has to queue comes back to this lane when it is its turn: see `turn`.

The rows, the hold, the lease, the fence, and the outcomes are those of the workers; only ticket and claim are left out.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from aiinfra import database_time
from aiinfra.metrics import recorded
from aiinfra.providers import breaker
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, CallTerms
from queue_app.models import DIRECT, AIRequest, Status
from queue_app.ordering import claims
from queue_app.ordering.claims import Claim
from queue_app.ordering.direct_start import try_start
from queue_app.ordering.index import IndexEntry
from queue_app.processing import in_flight, provider_call
from queue_app.processing.provider_call import Outcome, OutcomeUnstoredError
from queue_app.processing.streamed import Receiver
from queue_app.submission.intake import row_of
from queue_app.submission.submission import Submission

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()


class DirectCall:
    """One request that its endpoint starts if it may, and then runs. It is the `Starter` of its submission.

    With `awaits_turn`, a `Turn` waits for its turn if it has to queue, now or for a retry.
    """

    def __init__(self, *, awaits_turn: bool = False, started: tuple[Claim, Attempt] | None = None) -> None:
        self._awaits_turn = awaits_turn
        self._entry: IndexEntry | None = None
        self._started = started

    @property
    def has_started(self) -> bool:
        """Whether the request was committed as started: `run` must follow."""
        return self._started is not None

    @contextmanager
    def reserved(self, submission: Submission, terms: CallTerms) -> Iterator[dict[str, Any]]:
        """Reserve a place in this block for a request to be stored; gives its row's columns, none if it has to wait."""
        row = row_of(submission, terms)
        self._entry = self._reserve(row)
        try:
            yield self._columns(row) if self._entry else {}
        except BaseException:
            self._withdraw()
            raise
        if self._started:
            claims.mark_sent(*self._started)
            recorded.claimed(submission.organization_id, "direct")
        else:
            self._withdraw()

    def admit(self, request: AIRequest, call: dict[str, Any], attempt: Attempt) -> None:
        """Record, in the transaction that stores the request, that its call is sent now.

        A budget may have chosen another model, whose limit and circuit were not checked: the request is then queued.
        """
        request.is_awaited = self._awaits_turn
        if self._entry is None:
            return
        claim = Claim(request, call, request.attempt_number, self._entry)
        if attempt.name == self._entry.model and cost.dispatch(attempt, claim.timeout):
            self._started = claim, attempt
        else:
            request.status, request.lease_until, request.worker, request.started_at = Status.PENDING, None, "", None
            request.save(update_fields=["status", "lease_until", "worker", "started_at"])

    @property
    def called(self) -> tuple[str, str]:
        """Provider and model of the started call."""
        assert self._started is not None  # noqa: S101 - for the type checker: callers look first
        attempt = self._started[1]
        return attempt.provider, attempt.model

    def run(self, receiver: Receiver | None = None) -> AIRequest:
        """Make the call, and book its outcome: the request has ended then, or waits in the queue for its next attempt.

        With a receiver, the answer is streamed to it; the request does not wait in the queue after the first event.
        Raises OutcomeUnstoredError if the outcome cannot be stored within the time of a lease: `store` must follow.
        """
        assert self._started is not None  # noqa: S101 - for the type checker: callers look first
        claim, attempt = self._started
        with _tracked(claim):
            provider_call.run(claim, attempt, receiver, settings.QUEUE_LEASE_S)
        return claim.request

    def store(self, outcome: Outcome) -> None:
        """Store the outcome that `run` could not store, as soon as that is possible.

        Raises nothing: a request whose outcome still cannot be stored is left to index repair.
        """
        assert self._started is not None  # noqa: S101 - for the type checker: callers look first
        claim, attempt = self._started
        with _tracked(claim):
            provider_call.store(claim, attempt, outcome)

    def _reserve(self, row: AIRequest) -> IndexEntry | None:
        """Ask for a place, then the circuit breaker unless all circuits are closed: it may make this call its probe."""
        entry, all_closed = try_start(row) if row.not_before <= database_time.now() else (None, False)
        if entry is None or all_closed or breaker.allow(row.provider, row.model, row.organization_id).allowed:
            return entry
        claims.release(entry)
        return None

    def _columns(self, row: AIRequest) -> dict[str, Any]:
        return {
            "id": row.id,
            "status": Status.PROCESSING,
            "created_at": row.created_at,
            "started_at": row.created_at,
            "lease_until": claims.lease_end(),
            "worker": worker_name(),
        }

    def _withdraw(self) -> None:
        if self._entry is not None:
            claims.release(self._entry)
            breaker.release_probe(*self._entry.model.split("/", 1))
        self._entry = self._started = None


def worker_name() -> str:
    """This process, as the `worker` of the requests that it runs for its clients."""
    return f"{DIRECT}{socket.gethostname()}:{os.getpid()}"[:64]


@contextmanager
def _tracked(claim: Claim) -> Iterator[None]:
    """Keep the claim's lease renewed during the block. Raises OutcomeUnstoredError and logs everything else."""
    try:
        with in_flight.track(claim):
            yield
    except OutcomeUnstoredError:
        raise
    except Exception:
        logger.exception("direct call not booked", extra={"fields": {"request": claim.request.id}})


def renew_leases() -> None:
    """Renew the leases of what this process works on. Raises the errors of an unavailable database."""
    claims.renew(in_flight.leased_attempts())
