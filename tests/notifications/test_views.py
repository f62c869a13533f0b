"""The page `/settings/notifications/`."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from aiinfra.notifications.delivering import deliver_pending
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.notifications.outbox import send, send_request_webhook
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.support.receiver import Receiver

URL = "/settings/notifications/"
NEW = {
    "kind": "slack",
    "name": "ops",
    "target": "https://hooks.slack.com/services/T0/B0/secret",
    "min_severity": "high",
}
MESSAGE = Notification(type="test", severity="high", title="Budget", text="80%")
MakeChannel = Callable[..., Channel]
ClientOf = Callable[[User], Client]


def test_channel_is_added_without_showing_its_url(finance: User, client_of: ClientOf, scoped: Organization) -> None:
    client = client_of(finance)
    assert "No channels yet" in client.get(URL).content.decode()
    page = client.post(f"{URL}add/", NEW).content.decode()
    assert "hooks.slack.com" in page
    assert "T0/B0" not in page
    assert AuditEvent.objects.filter(verb="channel.added").count() == 1


def test_webhook_secret_is_shown_once(finance: User, client_of: ClientOf, scoped: Organization) -> None:
    client = client_of(finance)
    response = client.post(f"{URL}add/", {**NEW, "kind": "webhook"})
    secret = Channel.objects.get().secret
    assert secret in response.text
    assert "no-store" in response.headers["Cache-Control"]
    assert secret not in str(list(AuditEvent.objects.values_list("target", "changes")))
    assert secret not in client.get(URL).content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "http://example.com/"},
        {"target": "https://169.254.169.254/"},
        {"kind": "slack", "target": "https://[::1]/"},
        {"target": "https://user:pw@example.com/"},
        {"kind": "email", "target": "https://example.com/"},
        {"kind": "pigeon"},
        {"name": ""},
        {"name": "on\u202ecall"},
        {"target": "https://[/"},
    ],
)
def test_invalid_channel_is_rejected(
    finance: User, client_of: ClientOf, scoped: Organization, wrong: dict[str, str]
) -> None:
    assert client_of(finance).post(f"{URL}add/", {**NEW, **wrong}).status_code == 422
    assert not Channel.objects.exists()


def test_channel_can_be_tested_switched_and_removed(
    finance: User, client_of: ClientOf, make_channel: MakeChannel, scoped: Organization
) -> None:
    channel, client = make_channel(), client_of(finance)
    client.post(f"{URL}{channel.pk}/test/")
    assert "Test message" in client.get(URL).content.decode()
    client.post(f"{URL}{channel.pk}/switch/")
    assert not Channel.objects.get().enabled
    client.post(f"{URL}{channel.pk}/remove/")
    assert Channel.objects.get().removed_at
    assert client.post(f"{URL}{channel.pk}/test/").status_code == 404


def test_given_up_message_can_be_sent_again(
    finance: User, client_of: ClientOf, make_channel: MakeChannel, scoped: Organization
) -> None:
    make_channel()
    send(scoped.pk, MESSAGE)
    Delivery.objects.update(state="given_up", last_error="it answered 410")
    client = client_of(finance)
    assert "it answered 410" in client.get(URL).content.decode()
    client.post(f"{URL}deliveries/{Delivery.objects.get().pk}/again/")
    assert Delivery.objects.get().state == "pending"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_page_requires_permission(member_of: Callable[[Role], User], client_of: ClientOf, role: Role) -> None:
    assert client_of(member_of(role)).get(URL).status_code == 403


def test_channel_of_another_organization_is_not_found(
    stranger: User, client_of: ClientOf, make_channel: MakeChannel, organization: Organization
) -> None:
    channel, client = make_channel(), client_of(stranger)
    assert client.post(f"{URL}{channel.pk}/remove/").status_code == 404
    assert "No channels yet" in client.get(URL).text
    with organization_scope(organization.pk):
        assert Channel.objects.filter(removed_at=None).exists()


def test_page_runs_the_same_number_of_queries_with_more_channels(
    finance: User, client_of: ClientOf, make_channel: MakeChannel, scoped: Organization
) -> None:
    client = client_of(finance)
    counts = []
    for channels in (1, 9):
        for number in range(channels):
            make_channel(name=f"channel {number}")
            send(scoped.pk, MESSAGE)
        with CaptureQueriesContext(connection) as queries:
            client.get(URL)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_message_of_another_organization_is_not_found(
    stranger: User, client_of: ClientOf, make_channel: MakeChannel, scoped: Organization
) -> None:
    make_channel()
    send(scoped.pk, MESSAGE)
    Delivery.objects.update(state="given_up")
    client = client_of(stranger)
    assert client.post(f"{URL}deliveries/{Delivery.objects.get().pk}/again/").status_code == 404
    assert "No messages yet" in client.get(URL).text
    assert Delivery.objects.get().state == "given_up"


def test_writes_require_post(
    finance: User, client_of: ClientOf, make_channel: MakeChannel, scoped: Organization
) -> None:
    channel, client = make_channel(), client_of(finance)
    paths = ["add/", *(f"{channel.pk}/{action}/" for action in ("switch", "remove", "test")), "deliveries/1/again/"]
    assert [client.get(URL + path).status_code for path in paths] == [405] * 5
    assert client.post(URL).status_code == 405
    assert Client().get(URL).status_code == 302


def test_disabled_channel_is_marked_and_cannot_be_tested(
    finance: User, client_of: ClientOf, make_channel: MakeChannel, scoped: Organization
) -> None:
    channel, client = make_channel(), client_of(finance)
    client.post(f"{URL}{channel.pk}/switch/")
    assert 'badge-dot">off' in client.get(URL).text
    assert "Enable the channel first." in client.post(f"{URL}{channel.pk}/test/", follow=True).text
    assert not Delivery.objects.exists()


def test_number_of_channels_is_limited(
    finance: User, client_of: ClientOf, scoped: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiinfra.notifications.channels.CHANNELS_MAX", 1)
    client = client_of(finance)
    assert client.post(f"{URL}add/", NEW).status_code == 200
    refused = client.post(f"{URL}add/", NEW)
    assert refused.status_code == 422
    assert "at most 1 channels" in refused.text


def test_every_change_is_audited_without_the_url(finance: User, client_of: ClientOf, scoped: Organization) -> None:
    client = client_of(finance)
    client.post(f"{URL}add/", NEW)
    path = f"{URL}{Channel.objects.get().pk}/"
    for action in ("test", "switch", "remove"):
        client.post(f"{path}{action}/")
    events = AuditEvent.objects.order_by("at")
    verbs = ["channel.added", "channel.tested", "channel.changed", "channel.removed"]
    assert [event.verb for event in events] == verbs
    assert {event.actor for event in events} == {"user:finance"}
    assert "services" not in str([event.changes for event in events])


EMAIL = {"kind": "email", "target": "ops@example.com"}


def test_email_channel_requires_a_mail_server(
    finance: User, client_of: ClientOf, scoped: Organization, settings: Settings
) -> None:
    settings.EMAIL_HOST = ""
    client = client_of(finance)
    refused = client.post(f"{URL}add/", {**NEW, **EMAIL})
    assert refused.status_code == 422
    assert "This installation has no mail server" in refused.text
    assert not Channel.objects.exists()
    settings.EMAIL_HOST = "mail.example.com"
    assert client.post(f"{URL}add/", {**NEW, **EMAIL}).status_code == 200


def test_email_channel_without_a_mail_server_is_marked_and_cannot_be_tested(
    finance: User, client_of: ClientOf, make_channel: MakeChannel, scoped: Organization, settings: Settings
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    channel, client = make_channel(**EMAIL), client_of(finance)
    assert "unavailable" not in client.get(URL).text
    settings.EMAIL_HOST = ""
    assert "unavailable" in client.get(URL).text
    assert "no mail server" in client.post(f"{URL}{channel.pk}/test/", follow=True).text
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, "was delivered to ops."),
        (404, "was not delivered to ops: the receiver responded with 404."),
        (500, "It will be sent again at"),
    ],
)
def test_result_of_a_test_message_is_shown_once_it_is_known(
    finance: User,
    client_of: ClientOf,
    make_channel: MakeChannel,
    receiver: Receiver,
    scoped: Organization,
    status: int,
    result: str,
) -> None:
    receiver.statuses = [status]
    channel, client = make_channel(target=receiver.url), client_of(finance)
    sent = client.post(f"{URL}{channel.pk}/test/")
    path = sent.headers["Location"].partition("#")[0]
    waiting = client.get(path).text
    assert "Sending a test message to ops" in waiting
    assert f'hx-get="{path}"' in waiting
    deliver_pending()
    page = client.get(path, headers={"HX-Request": "true"}).text
    assert result in page
    assert "hx-get" not in page
    assert "<h1>" not in page


def test_request_webhooks_have_one_secret_and_no_url(finance: User, client_of: ClientOf, scoped: Organization) -> None:
    client, requests = client_of(finance), {**NEW, "kind": "requests", "target": ""}
    assert client.post(f"{URL}add/", {**NEW, "target": ""}).status_code == 422
    made = client.post(f"{URL}add/", {**requests, "target": "typed for another kind"})
    channel = Channel.objects.get()
    assert channel.secret in made.text and channel.target == ""
    assert client.post(f"{URL}add/", requests).status_code == 422
    send_request_webhook(scoped.pk, "https://hooks.example.com/secret-part", MESSAGE, about="7")
    page = client.get(URL).text
    assert "the URL of each request" in page and f"{URL}{channel.pk}/test/" not in page
    assert "hooks.example.com" in page and "secret-part" not in page
    assert "No messages yet" in page, "they are in a separate table"


def test_installation_has_no_request_webhooks(viewer: User, client_of: ClientOf) -> None:
    viewer.is_staff = viewer.is_superuser = True
    viewer.save()
    client = client_of(viewer)
    assert "Request webhooks" not in client.get("/installation/notifications/").text
    assert client.post("/installation/notifications/add/", {**NEW, "kind": "requests", "target": ""}).status_code == 422
