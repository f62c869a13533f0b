"""Headers of the `/v1` endpoints: options besides the vendor's body, and information about the call."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.http import HttpRequest

from aiinfra import database_time, epochs
from aiinfra.api import parse
from aiinfra.failures import ApiError
from aiinfra.money import dollars
from cost_app import create_cost_optimizer
from queue_app.api import DRY_RUN, CallOptions, contract_errors
from queue_app.facade import AIRequest, RequestStatus

cost_optimizer = create_cost_optimizer()

DEFAULT_TIMEOUT_S = 120.0
"""The longest that a provider call may take: SDKs wait 10 minutes, and answers of coding agents are long."""
LITELLM_TIMEOUT = "x-litellm-timeout"
"""LiteLLM's clients ask for longer calls, because it allows them. They get the longest that is possible here."""
TIMEOUTS = ("x-aiinfra-timeout", LITELLM_TIMEOUT)
TAGS = ("x-aiinfra-tags", "x-litellm-tags")
WEBHOOK = "x-aiinfra-webhook"
PRIORITY, CACHE = "x-aiinfra-priority", "x-aiinfra-cache"
ALL = (PRIORITY, CACHE, *TAGS, *TIMEOUTS, WEBHOOK, DRY_RUN)
OF_FIELDS = {"priority": PRIORITY, "cache": CACHE, "tags": TAGS[0], "webhook": WEBHOOK}
"""Fields of a call that come from a header, which errors name."""
MS = 1000


def options_from(request: HttpRequest, fields: dict[str, Any]) -> CallOptions:
    """The options of a call: the vendor's body in `fields`, and our headers. Raises ApiError 400."""
    given = {
        "priority": _lower(request, PRIORITY),
        "cache": _lower(request, CACHE),
        "tags": _tags(request),
        "webhook": request.headers.get(WEBHOOK),
        "timeout": _timeout_ms(request),
    }
    asked = {name: value for name, value in given.items() if value is not None}
    options = parse(CallOptions, {**fields, **asked}, strict=True)
    assert isinstance(options, CallOptions)  # noqa: S101 - for the type checker
    return options


@contextmanager
def client_errors() -> Iterator[None]:
    """Convert the queue's errors to API errors, naming the header for fields that come from one."""
    try:
        with contract_errors():
            yield
    except ApiError as error:
        error.param = OF_FIELDS.get((error.param or "").split(".")[0], error.param)
        raise


def asked_in_headers(request: HttpRequest) -> dict[str, str]:
    """The headers that are part of a call: a repeat with the same idempotency key must have the same."""
    return {name: value for name in ALL if (value := request.headers.get(name)) is not None}


def _tags(request: HttpRequest) -> list[str] | None:
    """Comma-separated tags, as in LiteLLM."""
    text = next(filter(None, map(request.headers.get, TAGS)), None)
    return None if text is None else [tag.strip() for tag in _unicode(text).split(",") if tag.strip()]


def _lower(request: HttpRequest, name: str) -> str | None:
    value = request.headers.get(name)
    return None if value is None else value.lower()


def _unicode(header: str) -> str:
    """A header that the client sent as UTF-8; the gateway interface reads all of them as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _timeout_ms(request: HttpRequest) -> int:
    """Of each provider call; the headers are in seconds."""
    name, text = next(
        ((name, value) for name in TIMEOUTS if (value := request.headers.get(name))), ("", str(DEFAULT_TIMEOUT_S))
    )
    try:
        seconds = min(float(text), DEFAULT_TIMEOUT_S) if name == LITELLM_TIMEOUT else float(text)
        if not 1 <= seconds <= DEFAULT_TIMEOUT_S:
            raise ValueError
    except ValueError:
        message = f"Use 1 to {DEFAULT_TIMEOUT_S:.0f} seconds."
        raise ApiError(400, "invalid_request", message, param=name) from None
    return round(seconds * MS)


def headers_of(status: RequestStatus) -> dict[str, str]:
    """Information about a call: its request ID, whether the cache answered, and its cost in dollars."""
    cost = dollars(status.cost_nano)
    return {
        **headers_while_running(status.request),
        "x-aiinfra-cost": cost,
        "x-cost": cost,
        "x-aiinfra-attempts": str(len(status.attempts)),
        **overhead_of(status),
        **_budget(status),
    }


def overhead_of(status: RequestStatus) -> dict[str, str]:
    """The time since the HTTP request arrived, including waiting but not provider calls."""
    running = epochs.current_request()
    if running is None:
        return {}
    whole_s = time.monotonic() - running.began
    came_in_at = database_time.now() - timedelta(seconds=whole_s)
    calls = [(each.dispatched_at, each.finished_at) for each in status.attempts]
    called_s = sum((end - begin).total_seconds() for begin, end in calls if begin and end and begin >= came_in_at)
    return {"x-aiinfra-overhead-ms": str(max(0, round((whole_s - called_s) * MS)))}


def _budget(status: RequestStatus) -> dict[str, str]:
    """US dollars left in the tightest blocking budget that has counted the call."""
    left = cost_optimizer.left_after(status.attempts[-1].id) if status.attempts else None
    return {} if left is None else {"x-aiinfra-budget-remaining": dollars(left), "x-budget-remaining": dollars(left)}


def headers_while_running(request: AIRequest) -> dict[str, str]:
    """The headers of a stream, whose cost is not known when it begins."""
    cache = "hit" if request.cached else "bypass" if request.cache_mode == "bypass" else "miss"
    return {"x-aiinfra-request-id": str(request.id), "x-aiinfra-cache": cache, "x-cache": cache}
