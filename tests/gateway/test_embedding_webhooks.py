"""Webhooks of embedding calls: one signed message for each call that was sent, however it ended."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from standardwebhooks.webhooks import Webhook

from aiinfra.notifications.channels import add_channel, change_channel
from aiinfra.notifications.delivering import deliver_request_webhooks
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app import create_cost_optimizer
from cost_app.models import Attempt
from queue_app.models import AIRequest
from tests.api.support import EMBEDDINGS, Caller, refused
from tests.gateway.batches.support import create, finish
from tests.gateway.v1.files import line
from tests.providers.conftest import SandboxClient
from tests.support.costs import counted_costs
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db(transaction=True)
BODY = {"model": "text-embedding-3-small", "input": "A secret text."}


@pytest.fixture
def signed(organization: Organization) -> Channel:
    """The organization's signing secret."""
    fields = {"kind": "requests", "name": "programs", "target": "", "min_severity": "medium", "actor": "user:admin"}
    return add_channel(organization_id=organization.pk, **fields)[0]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({"127.0.0.1"})
    with receiving() as found:
        yield found


def waiting() -> list[Delivery]:
    with system_scope():
        return list(Delivery.objects.filter(state="pending"))


def make_due() -> None:
    with system_scope():
        Delivery.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))


def test_end_is_reported_with_its_cost_and_without_content(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient
) -> None:
    response = program.post(EMBEDDINGS, BODY, **{"x-aiinfra-webhook": receiver.url})
    assert response.status_code == 200, response.content
    deliver_request_webhooks()
    [message] = receiver.messages()
    [(headers, body)] = receiver.received
    Webhook(signed.secret).verify(body.decode(), {name.lower(): text for name, text in headers.items()})
    data = message["data"]
    assert (message["type"], data["status"]) == ("request.completed", "completed")
    assert data["requestId"] == response["x-request-id"]
    assert (data["provider"], data["model"], data["cached"]) == ("openai", "text-embedding-3-small", False)
    assert data["usage"]["promptTokens"] == json.loads(response.content)["usage"]["prompt_tokens"] > 0
    assert data["completedAt"] and data["startedAt"] and data["costEstimated"] is False
    assert float(data["cost"]) > 0
    assert "secret" not in body.decode()
    assert waiting() == []


def test_message_has_the_same_fields_as_for_a_queued_request(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient
) -> None:
    from queue_app.webhooks import _data

    program.post(EMBEDDINGS, BODY, **{"x-aiinfra-webhook": receiver.url})
    deliver_request_webhooks()
    [message] = receiver.messages()
    with system_scope():
        key = Attempt.objects.get().api_key
    assert key is not None
    with organization_scope(key.organization_id):
        request = AIRequest.objects.create(
            organization_id=key.organization_id, provider="openai", model="gpt-4", user_ref="x"
        )
        assert message["data"].keys() == _data(request).keys()


def test_failed_call_is_reported_by_its_code(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient
) -> None:
    body = {**BODY, "dimensions": 999_999}
    assert program.post(EMBEDDINGS, body, **{"x-aiinfra-webhook": receiver.url}).status_code == 400
    deliver_request_webhooks()
    [message] = receiver.messages()
    data = message["data"]
    assert (message["type"], data["errorCode"], data["usage"]) == ("request.failed", "INVALID_REQUEST", None)
    assert data["cost"] == "0.00"


def test_killed_call_is_reported_as_lost_after_its_deadline(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(type(create_cost_optimizer()), "settle", staticmethod(kill))
        program.post(EMBEDDINGS, BODY, **{"x-aiinfra-webhook": receiver.url})
    deliver_request_webhooks()
    assert receiver.received == [], "the process may still be running"
    [delivery] = waiting()
    assert delivery.next_try_at > timezone.now() + timedelta(seconds=120)
    make_due()
    deliver_request_webhooks()
    [message] = receiver.messages()
    data = message["data"]
    assert (message["type"], data["errorCode"], data["costEstimated"]) == ("request.failed", "CALLER_LOST", True)
    with system_scope():
        assert data["cost"] not in {"0.00", ""} and Attempt.objects.get().bound_nano > 0


def kill(*_: object) -> None:
    """As if the process were killed here."""
    raise KeyboardInterrupt


def test_call_reported_as_lost_is_reported_again_when_it_ends(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = type(create_cost_optimizer())
    settle = cost.settle

    def late(*arguments: object) -> None:
        with system_scope():
            Delivery.objects.update(state="sent", tries=1)
        settle(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cost, "settle", staticmethod(late))
    assert program.post(EMBEDDINGS, BODY, **{"x-aiinfra-webhook": receiver.url}).status_code == 200
    deliver_request_webhooks()
    assert [each["type"] for each in receiver.messages()] == ["request.completed"]
    with system_scope():
        assert Delivery.objects.count() == 2


def test_refused_calls_and_dry_runs_send_no_webhook(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient
) -> None:
    hook = {"x-aiinfra-webhook": receiver.url}
    assert program.post(EMBEDDINGS, {**BODY, "model": "no-such"}, **hook).status_code == 404
    assert program.post(EMBEDDINGS, BODY, **hook, **{"x-aiinfra-dry-run": "true"}).status_code == 200
    assert waiting() == []


def test_repeated_call_is_reported_once(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient
) -> None:
    named = {"x-aiinfra-webhook": receiver.url, "Idempotency-Key": "k"}
    for _ in range(2):
        assert program.post(EMBEDDINGS, BODY, **named).status_code == 200
    deliver_request_webhooks()
    assert len(receiver.received) == 1


def test_keys_webhook_applies_to_its_embeddings_but_not_to_batch_lines(
    organization: Organization, signed: Channel, receiver: Receiver, sandbox: SandboxClient
) -> None:
    limits = KeyLimits(access=KeyAccess(webhook=receiver.url))
    role = Role.OPERATOR
    _, text = keys.create_key(organization=organization, name="bot", role=role, limits=limits, actor="command:test")
    caller = Caller(key=text)
    assert caller.post(EMBEDDINGS, BODY).status_code == 200
    finish(caller, create(caller, [line("a", url=EMBEDDINGS, body=BODY)], EMBEDDINGS)["id"])
    deliver_request_webhooks()
    assert sorted(each["type"] for each in receiver.messages()) == ["batch.completed", "request.completed"]


def test_webhooks_disabled_during_a_call_are_not_sent(
    program: Caller, signed: Channel, receiver: Receiver, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = type(create_cost_optimizer())
    settle = cost.settle

    def switch_off(*arguments: object) -> None:
        with organization_scope(signed.organization_id):  # type: ignore[arg-type]
            change_channel(channel=signed, min_severity="medium", enabled=False, actor="user:admin")
        settle(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cost, "settle", staticmethod(switch_off))
    assert program.post(EMBEDDINGS, BODY, **{"x-aiinfra-webhook": receiver.url}).status_code == 200
    make_due()
    deliver_request_webhooks()
    assert receiver.received == []


@pytest.mark.usefixtures("nothing_stored")
def test_unsignable_or_insecure_webhook_is_refused(program: Caller, sandbox: SandboxClient) -> None:
    for url in ("https://example.com/", "http://example.com/"):
        refused_as = refused(program.post(EMBEDDINGS, BODY, **{"x-aiinfra-webhook": url}), 400, "x-aiinfra-webhook")
        assert refused_as["message"]


def test_call_without_a_webhook_has_no_extra_cost(program: Caller, signed: Channel, sandbox: SandboxClient) -> None:
    program.post(EMBEDDINGS, BODY)
    with counted_costs() as plain:
        program.post(EMBEDDINGS, BODY)
    assert not any("notifications" in statement for statement in plain.statements)
