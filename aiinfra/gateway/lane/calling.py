"""Makes a direct call on the thread of its client."""

from aiinfra.gateway.lane.leases import leases
from aiinfra.gateway.waiting_threads import release_connections, waiting
from queue_app.facade import AIRequest, DirectCall


def make(call: DirectCall) -> AIRequest:
    """Make a call that has started. Returns its request, which has ended or waits in the queue for its next attempt.

    The thread is replaced by another one, and holds no database connection during the call.
    """
    release_connections()
    with waiting(), leases.kept():
        return call.run()
