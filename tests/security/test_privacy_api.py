"""Erasures through the API."""

import json
from uuid import uuid4

import pytest

from aiinfra.erasure import running
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy import holds
from aiinfra.tenants.privacy.models import Erasure
from aiinfra.tenants.scope import organization_scope
from cost_app.prices import lookup as pricebook
from queue_app.models import RequestContent
from tests.api.support import PRIVACY, QUEUE, Caller, enqueue_body, new_key, refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture
def caller(organization: Organization) -> Caller:
    return Caller(key=new_key(organization, Role.OWNER, ["privacy:erase"]))


def test_erasure_is_accepted_and_its_receipt_can_be_polled(caller: Caller) -> None:
    response = caller.post(PRIVACY, {"action": "erase", "user": "anna"})
    assert response.status_code == 202
    ordered = json.loads(response.content)
    assert (ordered["state"], ordered["finishedAt"], ordered["digest"]) == ("running", None, "")
    assert "anna" not in response.text
    running.run_open()
    receipt = json.loads(caller.get(PRIVACY, action="receipt", erasureId=ordered["id"]).content)
    assert receipt["state"] == "finished"
    assert len(receipt["digest"]) == 64
    listed = json.loads(caller.get(PRIVACY, action="erasures").content)
    assert listed == {"erasures": [receipt], "nextCursor": None}


@pytest.mark.parametrize("sent", ["Jose\u0301", "Jos\u00e9 ", "Jos\u200b\u00e9", "Jos\u00e9"])
def test_erasure_finds_a_user_in_every_spelling(caller: Caller, organization: Organization, sent: str) -> None:
    pricebook.add_shipped_prices()
    program = Caller(key=new_key(organization, Role.OPERATOR))
    assert program.post(QUEUE, enqueue_body(userId=sent)).status_code == 202
    caller.post(PRIVACY, {"action": "erase", "user": "Jos\u00e9"})
    running.run_open()
    with organization_scope(organization.pk):
        assert not RequestContent.objects.exists()


def test_repeated_order_with_the_same_idempotency_key_creates_one_erasure(
    caller: Caller, organization: Organization
) -> None:
    caller.headers["Idempotency-Key"] = "once"
    first, second = (caller.post(PRIVACY, {"action": "erase", "user": "anna"}) for _ in range(2))
    assert first.content == second.content
    with organization_scope(organization.pk):
        assert Erasure.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": "anna", "everything": True, "confirmation": "north"},
        {"user": "\u200b "},
        {"user": "x" * 129},
    ],
)
def test_ambiguous_order_is_rejected(caller: Caller, organization: Organization, body: dict[str, object]) -> None:
    assert caller.post(PRIVACY, {"action": "erase", **body}).status_code == 400
    with organization_scope(organization.pk):
        assert not Erasure.objects.exists()


def test_erasing_everything_requires_the_slug(caller: Caller, organization: Organization) -> None:
    order = {"action": "erase", "everything": True}
    for wrong in ({}, {"confirmation": ""}, {"confirmation": "south"}, {"confirmation": "North Ltd"}):
        assert caller.post(PRIVACY, {**order, **wrong}).status_code == 400
    with organization_scope(organization.pk):
        assert not Erasure.objects.exists()
    response = caller.post(PRIVACY, {**order, "confirmation": "north"})
    assert (response.status_code, json.loads(response.content)["subject"]) == (202, "everything")


def test_legal_hold_rejects_new_orders_and_holds_earlier_ones(caller: Caller, organization: Organization) -> None:
    ordered = json.loads(caller.post(PRIVACY, {"action": "erase", "user": "anna"}).content)
    holds.place(organization_id=organization.pk, reason="lawsuit", actor="user:staff")
    assert refused(caller.post(PRIVACY, {"action": "erase", "user": "anna"}), 409)["type"] == "legal_hold"
    assert json.loads(caller.get(PRIVACY, action="receipt", erasureId=ordered["id"]).content)["state"] == "held"
    assert caller.get(PRIVACY, action="receipt", erasureId=str(uuid4())).status_code == 404
