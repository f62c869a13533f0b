"""Makes a direct call on the thread of its client."""

from aiinfra.gateway.lane import running
from aiinfra.gateway.waiting_threads import release_connections, waiting
from queue_app.facade import AIRequest, DirectCall


def make(call: DirectCall) -> AIRequest:
    """Make a started call. Returns its request, which has ended or is queued for its next attempt.

    Another thread serves requests in place of this one, and no database connection is held during the call. Raises
    the same errors as `running.run`.
    """
    release_connections()
    with waiting():
        return running.run(call)
