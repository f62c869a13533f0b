"""Runs a direct call. The client doesn't wait for a database that can't store the outcome."""

import threading

from aiinfra.gateway.lane.leases import leases
from aiinfra.gateway.lane.live_answer import LiveAnswer
from aiinfra.gateway.unstored import unstored_error
from aiinfra.gateway.waiting_threads import release_connections
from queue_app.facade import AIRequest, DirectCall, OutcomeUnstoredError


def run(call: DirectCall, answer: LiveAnswer | None = None) -> AIRequest:
    """Like `DirectCall.run`, and renews this process's leases.

    Raises ApiError 503 if the outcome can't be stored within the lease duration. A thread keeps trying, because the
    call has been billed.
    """
    with leases.kept():
        try:
            return call.run(answer)
        except OutcomeUnstoredError as error:
            threading.Thread(target=_store, args=(call, error), name="unstored-outcome").start()
            raise unstored_error(error.request) from None


def _store(call: DirectCall, unstored: OutcomeUnstoredError) -> None:
    with leases.kept():
        call.store(unstored.outcome)
    release_connections()
