"""Security events for a SIEM: in order, without repeats, and limited to the caller's organization."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record
from aiinfra.tenants.staff import StaffRight
from tests.api.support import SECURITY_EVENTS, Caller, new_key, refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture
def caller(organization: Organization) -> Caller:
    return Caller(key=new_key(organization, Role.ADMIN, ["security_log:read"]))


def read(caller: Caller, **query: object) -> dict[str, Any]:
    response = caller.get(SECURITY_EVENTS, **query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = json.loads(response.content)
    return found


def test_reader_gets_every_event_of_its_organization_once_and_in_order(
    caller: Caller, organization: Organization
) -> None:
    for number in range(5):
        record(Event.EXPORTED, actor="user:a", organization=organization.slug, target=str(number))
        record(Event.EXPORTED, actor="user:a", organization="south", target="foreign")
        record(Event.LOG_IN_FAILED, target="nobody's")
    seen, after = [], 0
    while (page := read(caller, after=after, limit=2))["events"]:
        assert len(page["events"]) <= 2
        seen += page["events"]
        after = page["after"]
    assert [event["target"] for event in seen if event["event"] == "data.exported"] == list("01234")
    assert {event["organizationId"] for event in seen} == {organization.slug}
    assert [event["sequence"] for event in seen] == sorted({event["sequence"] for event in seen})
    assert read(caller, after=after)["after"] == after


def test_polling_adds_one_event_to_the_log(caller: Caller) -> None:
    after = read(caller)["after"]
    for _ in range(20):
        after = read(caller, after=after)["after"]
    assert [event["event"] for event in read(caller)["events"]].count("security_log.exported") == 1


def test_events_of_all_organizations_require_a_staff_right(
    caller: Caller, organization: Organization, admin: User
) -> None:
    record(Event.LOG_IN_FAILED, target="nobody's")
    assert refused(caller.get(SECURITY_EVENTS, everywhere="true"), 403)["param"] == "everywhere"
    scopes = ["security_log:read"]
    _, text = keys.create_key(
        organization=organization, name="siem", role=Role.ADMIN, scopes=scopes, created_by=admin, actor="user:admin"
    )
    siem = Caller(key=text)
    assert siem.get(SECURITY_EVENTS, everywhere="true").status_code == 403
    admin.is_staff = True
    admin.save()
    assert siem.get(SECURITY_EVENTS, everywhere="true").status_code == 403
    admin.user_permissions.add(Permission.objects.get(codename=StaffRight.READ_SECURITY_LOG))
    assert "login.failed" in [event["event"] for event in read(siem, everywhere="true")["events"]]
    admin.is_staff = False
    admin.save()
    assert siem.get(SECURITY_EVENTS, everywhere="true").status_code == 403
