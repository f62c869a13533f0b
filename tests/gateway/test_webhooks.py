"""Webhook URLs in bodies, in headers, and from API keys, for requests and batches."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from standardwebhooks.webhooks import Webhook

from aiinfra.notifications.channels import add_channel
from aiinfra.notifications.delivering import deliver_request_webhooks
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from queue_app.models import AIRequest
from tests.api.support import (
    BATCHES,
    CHAT,
    COMPLETIONS,
    KEYS,
    MESSAGES,
    MESSAGES_DOOR,
    QUEUE,
    RESPONSES,
    Caller,
    enqueue_body,
    error_of,
    new_key,
    refused,
)
from tests.gateway.batches.support import create, finish, lines, step, work
from tests.gateway.v1.files import line
from tests.queue_app.conftest import ScriptedProvider
from tests.support.receiver import Receiver, receiving

HOOK = "https://hooks.example.com/secret-part"
HEADER = {"x-aiinfra-webhook": HOOK}
V1_BODIES: dict[str, dict[str, Any]] = {
    COMPLETIONS: {"model": "gpt-4", "messages": MESSAGES},
    RESPONSES: {"model": "gpt-4", "input": "What is a queue?"},
    MESSAGES_DOOR: {"model": "claude-haiku-4-5", "messages": MESSAGES, "max_tokens": 50},
}


def sign(organization: Organization) -> Channel:
    fields = {"kind": "requests", "name": "programs", "target": "", "min_severity": "medium", "actor": "user:admin"}
    return add_channel(organization_id=organization.pk, **fields)[0]


@pytest.fixture
def signed(organization: Organization) -> Channel:
    """The organization's signing secret."""
    return sign(organization)


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({"127.0.0.1"})
    with receiving() as found:
        yield found


def webhooks() -> list[str | None]:
    """The webhooks of the stored requests, oldest first."""
    with system_scope():
        return list(AIRequest.objects.order_by("created_at").values_list("webhook", flat=True))


@pytest.fixture
def caller_with_webhook(organization: Organization) -> Callable[[str], Caller]:
    """Creates a program whose key has a webhook."""

    def make(url: str) -> Caller:
        limits = KeyLimits(access=KeyAccess(webhook=url))
        role = Role.OPERATOR
        return Caller(
            key=keys.create_key(organization=organization, name="bot", role=role, limits=limits, actor="command:test")[
                1
            ]
        )

    return make


@pytest.mark.usefixtures("signed")
def test_webhook_can_be_set_in_body_or_header(program: Caller, room: object, provider: ScriptedProvider) -> None:
    assert program.post(QUEUE, enqueue_body(webhook=HOOK)).status_code == 202
    assert program.post(CHAT, enqueue_body(webhook=HOOK, cache="bypass")).status_code == 202
    assert work() == 2
    for path, body in V1_BODIES.items():
        response = program.post(path, body, **HEADER, **{"x-aiinfra-cache": "bypass"})
        assert response.status_code == 200, response.content
    assert webhooks() == [HOOK] * 5
    assert "secret-part" not in str(provider.calls)
    with system_scope():
        assert Delivery.objects.count() == 5


@pytest.mark.usefixtures("signed")
def test_keys_webhook_applies_to_calls_without_their_own(caller_with_webhook: Callable[[str], Caller]) -> None:
    caller = caller_with_webhook(HOOK)
    assert caller.post(QUEUE, enqueue_body()).status_code == 202
    assert caller.post(QUEUE, enqueue_body(webhook="https://other.example.com/")).status_code == 202
    assert webhooks() == [HOOK, "https://other.example.com/"]


def test_keys_webhook_is_ignored_without_a_signing_secret(caller_with_webhook: Callable[[str], Caller]) -> None:
    assert caller_with_webhook(HOOK).post(QUEUE, enqueue_body()).status_code == 202


@pytest.mark.usefixtures("signed", "nothing_stored")
@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "https://u:p@example.com/", "x", "https://x y/", "", "h" * 501, "https://2852039166/"],
)
def test_invalid_url_is_refused_by_its_field(program: Caller, url: str) -> None:
    refused(program.post(QUEUE, enqueue_body(webhook=url)), 400, "webhook")
    response = program.post(COMPLETIONS, V1_BODIES[COMPLETIONS], **{"x-aiinfra-webhook": url})
    assert (response.status_code, error_of(response)["param"]) == (400, "x-aiinfra-webhook")


@pytest.mark.usefixtures("nothing_stored")
def test_webhook_without_a_signing_secret_is_refused(program: Caller, other_organization: Organization) -> None:
    sign(other_organization)
    with system_scope():
        Channel.objects.all().update(enabled=True)
    error = refused(program.post(QUEUE, enqueue_body(webhook=HOOK)), 400, "webhook")
    assert "signing secret" in error["message"]
    with system_scope():
        Channel.objects.all().delete()


@pytest.mark.usefixtures("signed")
def test_end_of_a_batch_is_reported_but_not_its_lines(
    caller_with_webhook: Callable[[str], Caller], provider: ScriptedProvider, receiver: Receiver
) -> None:
    caller = caller_with_webhook(receiver.url)
    made = create(caller, lines(2))
    finish(caller, made["id"])
    deliver_request_webhooks()
    [message] = receiver.messages()
    data = message["data"]
    assert (message["type"], data["batchId"], data["total"], data["completed"]) == ("batch.completed", made["id"], 2, 2)
    assert (data["promptTokens"], data["cost"]) == (40, "0.0000112")
    assert webhooks() == [None, None]


@pytest.mark.usefixtures("signed", "provider")
def test_failed_and_cancelled_batches_are_reported(program: Caller, receiver: Receiver) -> None:
    header = {"x-aiinfra-webhook": receiver.url}
    create(program, [line("a", url="/v1/responses")], **header)
    step()
    made = create(program, lines(2), **header)
    assert program.post(f"{BATCHES}/{made['id']}/cancel", b"").status_code == 200
    finish(program, made["id"])
    deliver_request_webhooks()
    assert {each["type"] for each in receiver.messages()} == {"batch.failed", "batch.cancelled"}


@pytest.mark.usefixtures("signed")
def test_repeated_call_is_reported_once(program: Caller, provider: ScriptedProvider, receiver: Receiver) -> None:
    bodies = [enqueue_body(webhook=receiver.url)] * 2 + [enqueue_body()]
    first, second, other = (program.post(QUEUE, body, **{"Idempotency-Key": "k"}) for body in bodies)
    assert json.loads(first.content)["requestId"] == json.loads(second.content)["requestId"]
    assert other.status_code == 409
    work()
    deliver_request_webhooks()
    assert len(receiver.received) == 1


def test_keys_own_secret_signs_its_requests_and_batches_without_a_channel(
    organization: Organization, program: Caller, room: object, provider: ScriptedProvider, receiver: Receiver
) -> None:
    """From creating the secret through the API to verifying the signature at the receiver."""
    text = new_key(organization, Role.OPERATOR)
    admin = Caller(key=new_key(organization, Role.ADMIN))
    made = admin.post(KEYS, {"action": "rotate-webhook-secret", "keyId": text.split("_")[1]})
    signing, caller = Webhook(json.loads(made.content)["webhookSecret"]), Caller(key=text)
    refused(program.post(QUEUE, enqueue_body(webhook=receiver.url)), 400, "webhook")
    assert caller.post(QUEUE, enqueue_body(webhook=receiver.url)).status_code == 202
    assert work() == 1
    header = {"x-aiinfra-webhook": receiver.url}
    assert caller.post(COMPLETIONS, V1_BODIES[COMPLETIONS], **header).status_code == 200
    finish(caller, create(caller, lines(2), **header)["id"])
    deliver_request_webhooks()
    for headers, body in receiver.received:
        signing.verify(body.decode(), {name.lower(): value for name, value in headers.items()})
    ends = [each["type"] for each in receiver.messages()]
    assert sorted(ends) == ["batch.completed", "request.completed", "request.completed"]


def test_webhooks_are_hidden_from_other_organizations(
    organization: Organization, other_organization: Organization, caller_with_webhook: Callable[[str], Caller]
) -> None:
    sign(organization)
    caller_with_webhook(HOOK).post(QUEUE, enqueue_body())
    with organization_scope(other_organization.pk):
        assert not Delivery.objects.exists() and not Channel.objects.exists()
