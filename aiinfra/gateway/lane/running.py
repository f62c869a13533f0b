"""Runs a direct call for a client, who does not wait for a database that stores nothing."""

import threading

from aiinfra.gateway.lane.leases import leases
from aiinfra.gateway.lane.live_answer import LiveAnswer
from aiinfra.gateway.unstored import unstored_error
from aiinfra.gateway.waiting_threads import release_connections
from queue_app.facade import AIRequest, DirectCall, OutcomeUnstoredError


def run(call: DirectCall, answer: LiveAnswer | None = None) -> AIRequest:
    """As `DirectCall.run`, with the leases of this process renewed.

    Raises ApiError 503 if the outcome cannot be stored within the time of a lease. A thread goes on trying, because the
    call is paid for.
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
