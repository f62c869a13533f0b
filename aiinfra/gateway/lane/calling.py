"""Makes a direct call on the thread of its client."""

from aiinfra.gateway.lane import running
from aiinfra.gateway.waiting_threads import release_connections, waiting
from queue_app.facade import AIRequest, DirectCall


def make(call: DirectCall) -> AIRequest:
    """Make a call that has started. Returns its request, which has ended or waits in the queue for its next attempt.

    The thread is replaced by another one, and holds no database connection during the call. Raises what `running.run`
    raises.
    """
    release_connections()
    with waiting():
        return running.run(call)
