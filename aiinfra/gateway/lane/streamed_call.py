"""Makes a direct call on its own thread, so that the answer can be forwarded while it arrives."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Generic, TypeVar

from aiinfra.gateway.lane import running
from aiinfra.gateway.lane.live_answer import LiveAnswer
from aiinfra.gateway.waiting_threads import release_connections, waiting
from aiinfra.providers.base import StreamEvent
from aiinfra.tenants.scope import organization_scope
from queue_app.facade import AIRequest, DirectCall, Status

Result = TypeVar("Result")


class StreamedCall(Generic[Result]):
    """A call in progress."""

    def __init__(self, call: DirectCall, conclude: Callable[[AIRequest], Result]) -> None:
        self._call = call
        self._conclude = conclude
        self._outcome: Future[Result] = Future()
        self.answer = LiveAnswer()
        self.is_whole = False
        """Whether the events formed a complete answer, which is now the request's."""

    def batches(self, timeout_s: float) -> Iterator[list[StreamEvent]]:
        """The events as they arrive; an empty batch whenever there was none for `timeout_s` seconds."""
        while (events := self.answer.take(timeout_s)) is not None:
            yield events

    def outcome(self) -> Result:
        """The result of `conclude`, or its exception."""
        return self._outcome.result()

    def run(self) -> None:
        """Run the call to its end, even if the client disconnects."""
        try:
            request = running.run(self._call, self.answer)
            self.is_whole = request.status == Status.COMPLETED
            with organization_scope(request.organization_id):
                self._outcome.set_result(self._conclude(request))
        except BaseException as error:
            self._outcome.set_exception(error)
        finally:
            self.answer.end()
            release_connections()


@contextmanager
def streamed(call: DirectCall, conclude: Callable[[AIRequest], Result]) -> Iterator[StreamedCall[Result]]:
    """Run a started call, and read its answer in this block. `conclude` runs once the call is recorded.

    If the block ends early, the call is read for `STREAM_DRAIN_S` more seconds, so that its usage is known. Another
    thread takes over this one's work while it waits for the end.
    """
    release_connections()
    streamed_call = StreamedCall(call, conclude)
    thread = threading.Thread(target=streamed_call.run, name="streamed-call")
    with waiting():
        thread.start()
        try:
            yield streamed_call
        finally:
            streamed_call.answer.leave()
            thread.join()
