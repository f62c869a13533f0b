"""`/api/ai/security-log`: security events for a SIEM, oldest first, from a sequence number on."""

from typing import Annotated, Any

from django.contrib.auth.models import AnonymousUser
from pydantic import Field

from aiinfra.api import ApiCall, ApiModel, Endpoint, Operation
from aiinfra.failures import ApiError
from aiinfra.tenants.models import ApiKey, User
from aiinfra.tenants.security_log import repeats
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.export import Filters, events
from aiinfra.tenants.security_log.stream import as_json
from aiinfra.tenants.staff import StaffRight, has_right

LIMIT_MAX = 1000


class SecurityLogQuery(ApiModel):
    """Which events."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1, description="the last sequence that you have")] = 0
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 100
    everywhere: Annotated[
        bool, Field(description="all organizations and the installation; for staff who may read the security log")
    ] = False


class SecurityEventOut(ApiModel):
    """An event, as the export has it."""

    sequence: int
    at: str
    event: str
    actor: str
    organization_id: str
    address: str | None
    request_id: str
    target: str
    details: dict[str, Any]
    digest: str


class SecurityEvents(ApiModel):
    """Some events, oldest first; ask again with `after` to get the next ones."""

    events: list[SecurityEventOut]
    after: int


def get_events(call: ApiCall, payload: SecurityLogQuery) -> SecurityEvents:
    """The events that follow a sequence number. Readings are counted by the minute, because a SIEM polls."""
    slug, filters = call.principal.organization_slug, Filters()
    if payload.everywhere:
        _check_staff(call)
    else:
        filters["organization"] = slug
    found = list(events(filters).filter(sequence__gt=payload.after).order_by("sequence")[: payload.limit])
    target = "everywhere" if payload.everywhere else slug
    repeats.count(Event.LOG_EXPORTED, actor=call.principal.actor, organization=slug, target=target)
    return SecurityEvents(
        events=[SecurityEventOut.model_validate(as_json(row), by_alias=True) for row in found],
        after=found[-1].sequence if found else payload.after,
    )


def _check_staff(call: ApiCall) -> None:
    """Raises ApiError 403 unless the person has the right: the session's own, or the one who created the key."""
    if not has_right(_person(call), StaffRight.READ_SECURITY_LOG):
        message = "Only staff who may read the security log can read it everywhere, and the API keys that they created."
        raise ApiError(403, "forbidden", message, param="everywhere")


def _person(call: ApiCall) -> "User | AnonymousUser | None":
    if call.principal.api_key_id is None:
        return call.http.user
    key = ApiKey.objects.select_related("created_by").get(pk=call.principal.api_key_id)
    return key.created_by


security_log_endpoint = Endpoint(
    {
        ("GET", None): Operation(
            get_events,
            "security_log:read",
            SecurityLogQuery,
            SecurityEvents,
            "Get security events after a sequence number",
        ),
    }
)
