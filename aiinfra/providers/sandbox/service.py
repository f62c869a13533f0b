"""Handles one sandbox call: fault, latency, billing, answer."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from aiinfra.providers.sandbox.behaviour import Director, Fault, FaultKind
from aiinfra.providers.sandbox.book import book_from_environment
from aiinfra.providers.sandbox.dialects import Dialect, embeddings
from aiinfra.providers.sandbox.exchange import BadRequestError, Exchange
from aiinfra.providers.sandbox.model import PrefixCache, compose

MALFORMED = b'{"choices": [{"message": {"content": "This is a sandbox'


class Sandbox:
    """The state of one sandbox process."""

    def __init__(self) -> None:
        self.book = book_from_environment()
        self.director = Director()
        self.agents: Counter[str] = Counter()
        self._prefixes = PrefixCache()

    async def chat(self, exchange: Exchange, provider: str, dialect: Dialect) -> None:
        """Answer a chat call, or fail it as the behaviour says."""
        self._admit(exchange)
        prompt = dialect.prompt(provider, exchange.json())
        fault = self.director.draw_fault(provider, prompt.model, prompt.last_message)
        attempt_id = exchange.headers.get("x-attempt-id")
        with self.book.running(attempt_id):
            if fault and await _failed_unbilled(exchange, fault, dialect):
                return
            if _is(fault, FaultKind.HOLD):
                await self.director.hold(attempt_id or "")
            answer = compose(prompt, self._prefixes, filtered=_is(fault, FaultKind.CONTENT_FILTER))
            latency_s = self.director.latency_s()
            # A streamed answer spends half of its time before the first word.
            await asyncio.sleep(latency_s / 2 if prompt.stream else latency_s)
            self.book.bill(attempt_id, provider, prompt.model, answer.usage)
        if _is(fault, FaultKind.RESET_AFTER_BILLING):
            await exchange.reset()
        elif _is(fault, FaultKind.MALFORMED_BODY):
            await exchange.send(MALFORMED, "application/json")
        else:
            with_usage = not _is(fault, FaultKind.MISSING_USAGE)
            if prompt.stream:
                events = list(dialect.events(prompt, answer, with_usage=with_usage))
                await self._stream(exchange, dialect, events, fault, pause_s=latency_s / 2 / len(events))
            else:
                await exchange.send_json(dialect.whole(prompt, answer, with_usage=with_usage))

    async def embed(self, exchange: Exchange, provider: str, dialect: Dialect) -> None:
        """Answer an embeddings call."""
        self._admit(exchange)
        model, usage, body = embeddings(exchange.json())
        fault = self.director.draw_fault(provider, model, "")
        attempt_id = exchange.headers.get("x-attempt-id")
        with self.book.running(attempt_id):
            if fault and await _failed_unbilled(exchange, fault, dialect):
                return
            if _is(fault, FaultKind.HOLD):
                await self.director.hold(attempt_id or "")
            await asyncio.sleep(self.director.latency_s())
            self.book.bill(attempt_id, provider, model, usage)
        if _is(fault, FaultKind.RESET_AFTER_BILLING):
            await exchange.reset()
        elif _is(fault, FaultKind.MALFORMED_BODY):
            await exchange.send(MALFORMED, "application/json")
        else:
            await exchange.send_json({**body, "usage": None} if _is(fault, FaultKind.MISSING_USAGE) else body)

    async def _stream(
        self, exchange: Exchange, dialect: Dialect, events: Sequence[bytes], fault: Fault | None, pause_s: float
    ) -> None:
        await exchange.start("text/event-stream", headers={"cache-control": "no-cache"})
        for number, event in enumerate(events):
            if fault and number == len(events) // 2 and await self._ended_halfway(exchange, dialect, fault):
                return
            await exchange.send_chunk(event)
            await asyncio.sleep(pause_s)
        await exchange.send_chunk(b"", last=True)

    async def _ended_halfway(self, exchange: Exchange, dialect: Dialect, fault: Fault) -> bool:
        """Apply a fault of streams; whether that ended the answer."""
        match fault.kind:
            case FaultKind.STREAM_HOLD:
                await self.director.hold(exchange.headers.get("x-attempt-id") or "")
                return False
            case FaultKind.STREAM_RESET:
                await exchange.reset()
            case FaultKind.STREAM_ERROR:
                await exchange.send_chunk(dialect.error_event("simulated fault"), last=True)
            case FaultKind.STREAM_MALFORMED:
                await exchange.send_chunk(b"data: " + MALFORMED + b"\n\n", last=True)
            case FaultKind.STREAM_END:
                await exchange.send_chunk(b"", last=True)
            case _:
                return False
        return True

    def _admit(self, exchange: Exchange) -> None:
        self.agents[exchange.headers.get("user-agent", "")] += 1
        if not exchange.headers.get("authorization") and not exchange.headers.get("x-api-key"):
            raise BadRequestError("missing API key", status=401)


def _is(fault: Fault | None, kind: FaultKind) -> bool:
    return fault is not None and fault.kind is kind


async def _failed_unbilled(exchange: Exchange, fault: Fault, dialect: Dialect) -> bool:
    """Fail a call before it costs anything; False if the fault is of another kind."""
    match fault.kind:
        case FaultKind.STATUS | FaultKind.RATE_LIMIT:
            status = 429 if fault.kind is FaultKind.RATE_LIMIT else fault.status
            headers = {} if fault.retry_after_s is None else {"retry-after": str(fault.retry_after_s)}
            await exchange.send_json(dialect.error(status, "simulated fault", None), status, headers)
        case FaultKind.RESET_BEFORE_BILLING:
            await exchange.reset()
        case FaultKind.HANG:
            await exchange.disconnected()
        case _:
            return False
    return True
