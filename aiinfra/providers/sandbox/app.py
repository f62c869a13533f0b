"""The sandbox provider as an ASGI application: `uvicorn aiinfra.providers.sandbox.app:app --port N`."""

import re

from pydantic import ValidationError

from aiinfra.providers.sandbox.behaviour import Behaviour
from aiinfra.providers.sandbox.dialects import AnthropicDialect, Dialect, OpenAIDialect
from aiinfra.providers.sandbox.exchange import BadRequestError, Exchange, Receive, Scope, Send, read_exchange
from aiinfra.providers.sandbox.page import page
from aiinfra.providers.sandbox.service import Sandbox
from aiinfra.providers.tokens import count_tokens
from aiinfra.validation import words_of

OPENAI = OpenAIDialect()
ANTHROPIC = AnthropicDialect()

sandbox = Sandbox()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection event of uvicorn."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["type"] == "http":
        dialect: Dialect = ANTHROPIC if scope["path"].endswith("/messages") else OPENAI
        exchange = Exchange(scope["method"], scope["path"], {}, b"", receive, send)
        try:
            exchange = await read_exchange(scope, receive, send)
            await _route(exchange, dialect)
        except BadRequestError as error:
            await exchange.send_json(dialect.error(error.status, error.message, error.param), error.status)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    count_tokens("")  # loads the tokenizer, so that the first call is as fast as the others
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _route(exchange: Exchange, dialect: Dialect) -> None:
    if call := re.fullmatch(r"/([\w-]+)/v1/(chat/completions|messages|embeddings)", exchange.path):
        _require(exchange, "POST")
        answer = sandbox.embed if call[2] == "embeddings" else sandbox.chat
        await answer(exchange, call[1], dialect)
    elif exchange.path == "/sandbox/behaviour":
        await _behaviour(exchange)
    elif held := re.fullmatch(r"/sandbox/calls/([\w-]+)/release", exchange.path):
        _require(exchange, "POST")
        await _release(exchange, held[1])
    else:
        _require(exchange, "GET")
        await _show(exchange)


async def _behaviour(exchange: Exchange) -> None:
    if exchange.method != "GET":
        _require(exchange, "POST")
        try:
            sandbox.director.direct(Behaviour.model_validate(exchange.json()))
        except ValidationError as error:
            first = error.errors()[0]
            raise BadRequestError(words_of(first), ".".join(map(str, first["loc"]))) from None
    await exchange.send_json(sandbox.director.behaviour.model_dump(mode="json", by_alias=True))


async def _release(exchange: Exchange, attempt_id: str) -> None:
    if not sandbox.director.release(attempt_id):
        raise BadRequestError("this call is not being held", status=404)
    await exchange.send_json({"released": attempt_id})


async def _show(exchange: Exchange) -> None:
    if exchange.path == "/":
        await exchange.send(page(sandbox.book.rows()), "text/html; charset=utf-8")
    elif exchange.path == "/sandbox/book":
        await exchange.send_json(sandbox.book.rows())
    elif exchange.path == "/sandbox/agents":
        await exchange.send_json(sandbox.agents)
    elif call := re.fullmatch(r"/sandbox/calls/([\w-]+)", exchange.path):
        await exchange.send_json(sandbox.book.call(call[1]))
    else:
        raise BadRequestError("not found", status=404)


def _require(exchange: Exchange, method: str) -> None:
    if exchange.method != method:
        raise BadRequestError(f"only {method} is allowed", status=405)
