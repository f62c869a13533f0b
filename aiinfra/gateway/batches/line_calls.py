"""Turns a batch line into a call on behalf of the client who created the batch."""

import hashlib
from dataclasses import replace
from typing import Any, cast
from uuid import UUID, uuid5

from django.http import HttpRequest

from aiinfra.api import NO_ACTIONS, ApiCall, parse
from aiinfra.api_callers import check_user, in_organization
from aiinfra.batches.models import Batch, BatchLine
from aiinfra.batches.packing import unpack
from aiinfra.failures import ApiError
from aiinfra.gateway.batches.line_endpoints import LineEndpoint
from aiinfra.gateway.v1.vendor_endpoint import OpenBody
from aiinfra.tenants import key_authentication
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.middleware import principal_of
from aiinfra.tenants.models import Membership

HEADERS = ("x-aiinfra-tags", "x-litellm-tags", "x-aiinfra-timeout", "x-litellm-timeout", "x-aiinfra-cache")
"""Headers of the call that creates a batch, which apply to each of its lines."""
LOW = {"x-aiinfra-priority": "low"}
PERMISSION = "chat:write"


def options_of(http: HttpRequest) -> dict[str, str]:
    """The headers that are stored with a batch."""
    return {name: value for name in HEADERS if (value := http.headers.get(name)) is not None}


def call_of(batch: Batch) -> ApiCall | None:
    """The call to use for each line, with the client's current permissions. None if they lost them."""
    principal = _principal(batch)
    if principal is None or not principal.can(PERMISSION):
        return None
    return with_headers(batch.options, principal, batch.user)


def with_headers(options: dict[str, str], principal: Principal, user: Any) -> ApiCall:
    """A low-priority call with these headers."""
    http = HttpRequest()
    http.META.update({f"HTTP_{name.upper().replace('-', '_')}": text for name, text in {**options, **LOW}.items()})
    http.user = user
    return ApiCall(http, principal, None)


def call_of_line(call: ApiCall, line: BatchLine) -> ApiCall:
    """The call for one line. Its idempotency key ensures that it is accepted once, even after a crash."""
    return replace(call, idempotency_key=key_of(line))


def key_of(line: BatchLine) -> str:
    """An idempotency key that no client can send, because it contains spaces."""
    return f"batch {line.batch_id.hex} {hashlib.sha256(line.custom_id.encode()).hexdigest()}"


def reference_of(line: BatchLine) -> UUID:
    """The ID for recording the attempts of a line that is not a queued request."""
    return uuid5(line.batch_id, line.custom_id)


def body_of(call: ApiCall, endpoint: LineEndpoint, raw: dict[str, Any]) -> OpenBody:
    """The body of a line, validated as its endpoint would. Raises ApiError."""
    if "action" in raw:
        raise ApiError(400, "invalid_request", NO_ACTIONS, param="action")
    in_organization(call.principal, raw.pop("organizationId", None), call.http)
    body = cast(OpenBody, parse(endpoint.payload, raw, strict=True))
    check_user(call.principal, call.http, getattr(body, "user_id", ""))
    return body


def raw_body(line: BatchLine) -> dict[str, Any]:
    """The body of a line as it was sent."""
    return cast(dict[str, Any], unpack(line.body))


def _principal(batch: Batch) -> Principal | None:
    if batch.api_key_id is not None:
        return key_authentication.principal_of_key(batch.api_key_id)
    if batch.user_id is None:
        return None
    members = Membership.objects.select_related("organization", "user")
    mine = members.filter(organization_id=batch.organization_id, user_id=batch.user_id, user__is_active=True).first()
    return principal_of(mine) if mine else None
