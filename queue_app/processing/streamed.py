"""Makes a streamed call: passes the answer on while it arrives, and ends with the same result as a plain call."""

from typing import Protocol

from aiinfra.providers.base import ChatAnswer, ChatStream, ErrorCode, ProviderError, StreamEvent

CLIENT_DISCONNECTED = "The client left, and the answer did not end in time."


class Receiver(Protocol):
    """The client of a streamed answer."""

    def receive(self, event: StreamEvent) -> bool:
        """Take the next event, without waiting for the client. False ends the call: nobody is waiting for the rest."""
        ...


def answer_of(stream: ChatStream, receiver: Receiver) -> ChatAnswer:
    """The whole answer, after all of its events were passed on.

    Raises ProviderError for everything else; `has_begun` says whether the receiver had an event by then. CALLER_LOST if
    the receiver ended the call.
    """
    has_begun = False
    try:
        while True:
            event = next(stream)
            has_begun = True
            if not receiver.receive(event):
                raise ProviderError(ErrorCode.CALLER_LOST, CLIENT_DISCONNECTED, may_be_billed=True)
    except StopIteration as end:
        answer: ChatAnswer = end.value
        return answer
    except ProviderError as error:
        error.has_begun = has_begun
        raise
    finally:
        stream.close()
