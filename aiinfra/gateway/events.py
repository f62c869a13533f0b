"""`/api/ai/events`: changes in an organization, as server-sent events."""

import re
from typing import Annotated

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from pydantic import Field, StringConstraints

from aiinfra.api import ApiCall, ApiModel, Endpoint, Operation
from aiinfra.failures import ApiError, not_found
from aiinfra.gateway.connection_slots import RETRY_AFTER_S, AllSlotsTakenError, OrganizationShareTakenError
from aiinfra.gateway.event_stream import EventStream, Wanted, slots
from aiinfra.live_events import PERMISSIONS, EventType
from queue_app.facade import request_by_id

CONTENT_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
EVENT_ID = r"^[0-9]{1,15}-[0-9]{1,15}$"
TYPES = "|".join(EventType)


class EventsQuery(ApiModel):
    """Which events to send, and where to start."""

    types: Annotated[
        str | None,
        StringConstraints(pattern=f"^({TYPES})(,({TYPES}))*$"),
        Field(description="comma-separated; by default all types the caller may see"),
    ] = None
    request_id: Annotated[str | None, Field(description="only the events of this request")] = None
    last_event_id: Annotated[
        str | None,
        StringConstraints(pattern=EVENT_ID),
        Field(description="resume after this event; the Last-Event-ID header takes precedence"),
    ] = None


class SentEvent(ApiModel):
    """An event of the stream; docs/api.md lists the types and the JSON in `data`."""

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None


def listen(call: ApiCall, payload: EventsQuery) -> HttpResponseBase:
    """Send events until the client disconnects, loses its permissions, or the server stops."""
    wanted = _wanted(call, payload)
    cursor = _last_event_id(call) or payload.last_event_id
    if call.http.method == "HEAD":
        return HttpResponse(content_type=CONTENT_TYPE, headers=HEADERS)
    _take_slot(call.principal.organization_id)
    return StreamingHttpResponse(EventStream(call, wanted, cursor), content_type=CONTENT_TYPE, headers=HEADERS)


def _wanted(call: ApiCall, payload: EventsQuery) -> Wanted:
    named = frozenset(EventType(name) for name in payload.types.split(",")) if payload.types else None
    if payload.request_id is not None:
        if named and EventType.REQUEST not in named:
            raise ApiError(400, "invalid_request", "requestId requires the type request.", param="types")
        named = frozenset({EventType.REQUEST})
    _check_rights(call, named or frozenset())
    if payload.request_id is None:
        return Wanted(named or frozenset(EventType))
    request = request_by_id(payload.request_id)
    if request is None:
        raise not_found()
    return Wanted(frozenset({EventType.REQUEST}), str(request.id))


def _check_rights(call: ApiCall, named: frozenset[EventType]) -> None:
    for each in sorted(named):
        if not call.principal.can(PERMISSIONS[each]):
            raise ApiError(403, "forbidden", f"Events of type {each} require the permission {PERMISSIONS[each]}.")


def _last_event_id(call: ApiCall) -> str | None:
    text = call.http.headers.get("Last-Event-ID")
    if text and not re.fullmatch(EVENT_ID, text):
        raise ApiError(400, "invalid_request", "Invalid event ID.", param="Last-Event-ID")
    return text or None


def _take_slot(organization_id: int) -> None:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    try:
        slots.take(organization_id)
    except OrganizationShareTakenError:
        message = "Your organization has too many event streams open. Close one, or try again later."
        raise ApiError(429, "too_many_streams", message, headers=headers) from None
    except AllSlotsTakenError:
        message = "All event streams of this server are in use. Try again later."
        raise ApiError(503, "unavailable", message, headers=headers) from None


events_endpoint = Endpoint(
    {
        ("GET", None): Operation(
            listen,
            PERMISSIONS[EventType.REQUEST],
            EventsQuery,
            SentEvent,
            "Live events (server-sent events)",
            or_permissions=(PERMISSIONS[EventType.BUDGET],),
            content_type=CONTENT_TYPE,
        ),
    }
)
