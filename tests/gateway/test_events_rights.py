"""`GET /api/ai/events`: who receives which events."""

from collections.abc import Callable
from uuid import uuid4

from django.test import Client

from aiinfra import timed_cache
from aiinfra.live_events import PERMISSIONS, EventType
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import revoke_key
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.api.authorization_operations import operations
from tests.api.support import EVENTS, QUEUE, Caller, refused
from tests.gateway.sse import Event, Events
from tests.gateway.streams import publish_note, ready

COUNTERPARTS = {
    EventType.REQUEST: (QUEUE, "list"),
    EventType.QUEUE: (QUEUE, "stats"),
    EventType.BUDGET: ("/api/ai/cost", "budgets"),
    EventType.ALERT: ("/api/ai/cost", "alerts"),
}


def test_an_event_type_needs_the_permission_of_its_json_counterpart() -> None:
    permissions = {(address, action): operation.permission for address, _, action, operation in operations()}
    assert {kind: permissions[COUNTERPARTS[kind]] for kind in EventType} == PERMISSIONS


def test_key_receives_the_types_of_its_scopes(
    listen: Callable[..., Events], key_of: Callable[..., Caller], organization: Organization
) -> None:
    stream = listen(key_of(Role.OPERATOR, ["cost:read"]))
    assert ready(stream).data == {"types": ["alert", "budget"]}
    for kind in EventType:
        publish_note(organization, kind=kind)
    assert [event.name for event in stream.take(2)] == ["budget", "alert"]


def test_type_outside_the_scopes_returns_403(key_of: Callable[..., Caller]) -> None:
    accountant = key_of(Role.OPERATOR, ["cost:read"])
    assert "queue:read" in refused(accountant.get(EVENTS, types="queue"), 403)["message"]
    refused(accountant.get(EVENTS, requestId=str(uuid4())), 403)
    refused(key_of(Role.OPERATOR, ["chat:write"]).get(EVENTS), 403)
    refused(Caller().get(EVENTS), 401)


def test_revoking_a_key_ends_its_stream(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    with organization_scope(organization.pk):
        revoke_key(key=ApiKey.objects.get(), actor="test")
    timed_cache.clear_all()
    assert stream.rest() == [Event("", "end", {"reason": "unauthorized"})]


def test_logging_out_ends_the_stream(
    listen: Callable[..., Events], operator: User, client_of: Callable[[User], Client]
) -> None:
    client = client_of(operator)
    stream = listen(Caller(client))
    ready(stream)
    client.logout()
    assert stream.rest() == [Event("", "end", {"reason": "unauthorized"})]


def test_a_removed_members_stream_ends(
    listen: Callable[..., Events], operator: User, owner: User, client_of: Callable[[User], Client]
) -> None:
    stream = listen(Caller(client_of(operator)))
    ready(stream)
    Membership.objects.filter(user=operator).delete()
    assert stream.rest() == [Event("", "end", {"reason": "unauthorized"})]


def test_a_removed_scope_ends_its_types(
    listen: Callable[..., Events], program: Caller, organization: Organization
) -> None:
    stream = listen(program)
    ready(stream)
    with organization_scope(organization.pk):
        ApiKey.objects.update(scopes=["cost:read"])
    timed_cache.clear_all()
    publish_note(organization, "first")
    assert stream.next().data == {"text": "first"}
    publish_note(organization, kind=EventType.QUEUE)
    publish_note(organization, "second")
    assert stream.next().data == {"text": "second"}
    with organization_scope(organization.pk):
        ApiKey.objects.update(scopes=["chat:write"])
    timed_cache.clear_all()
    assert stream.rest() == [Event("", "end", {"reason": "forbidden"})]
