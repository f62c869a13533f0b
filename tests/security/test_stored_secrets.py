"""A copy of the database reveals no secrets without `SECRET_KEY`."""

from collections.abc import Callable
from copy import deepcopy
from io import StringIO

import pytest
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra import secret_rotation
from aiinfra.encrypted_fields import Undecryptable
from aiinfra.encryption import UndecryptableError, decrypt, derived_key, encrypt, keyed_hash, keyed_hashes
from aiinfra.notifications.channels import add_channel
from aiinfra.notifications.delivering import deliver_pending
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.notifications.outbox import send
from aiinfra.stack.doctor import examine
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope

TARGET = "https://hooks.example.com/services/T0/B0/secret"
PAGE = "/settings/notifications/"


def make_channel(organization: Organization, target: str = TARGET, kind: str = "webhook") -> Channel:
    with organization_scope(organization.pk):
        channel, _ = add_channel(
            organization_id=organization.pk, kind=kind, name="ops", target=target, min_severity="low", actor="user:x"
        )
    return channel


@pytest.fixture
def channel(organization: Organization) -> Channel:
    return make_channel(organization)


def stored(column: str = "target") -> list[str]:
    """The column as stored in the database."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM notifications_channel ORDER BY id")  # noqa: S608 - a constant column name
        return [value for (value,) in cursor.fetchall()]


def store(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE notifications_channel SET target = %s", [value])


def reread(channel: Channel) -> Channel:
    with system_scope():
        return Channel.objects.get(pk=channel.pk)


def change_key(settings: Settings, *, keep: bool) -> None:
    """Set a new SECRET_KEY; keep the previous one as a fallback, or drop it."""
    fallbacks = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS] if keep else []
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = f"{settings.SECRET_KEY}-next", fallbacks


def findings() -> str:
    return "\n".join(f"{finding.level} {finding.text}" for finding in examine())


def test_targets_and_secrets_are_encrypted(channel: Channel) -> None:
    [target], [secret] = stored(), stored("secret")
    assert "hooks" not in target
    assert "whsec" not in secret
    assert (decrypt(target), decrypt(secret)) == (TARGET, channel.secret)
    assert reread(channel).target == TARGET


def test_equal_values_are_stored_differently(organization: Organization) -> None:
    make_channel(organization)
    make_channel(organization)
    assert len(set(stored())) == 2


def test_encrypted_column_cannot_be_used_in_a_filter(channel: Channel) -> None:
    with system_scope():
        for lookup in ("target", "target__startswith", "target__in"):
            with pytest.raises(FieldError, match="encrypted"):
                Channel.objects.filter(**{lookup: TARGET}).exists()


def test_keys_differ_by_purpose_and_by_secret() -> None:
    keys = {derived_key(secret, purpose) for secret in ("a", "b") for purpose in ("one", "two")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


def test_keyed_hash_tries_the_newest_key_first(settings: Settings) -> None:
    before = keyed_hash("value", "purpose")
    change_key(settings, keep=True)
    assert keyed_hashes("value", "purpose") == [keyed_hash("value", "purpose"), before]
    assert keyed_hash("value", "purpose") != before


def test_changed_value_cannot_be_decrypted() -> None:
    encrypted = encrypt("value")
    changed = encrypted[:-6] + ("A" if encrypted[-6] != "A" else "B") + encrypted[-5:]
    for wrong in (changed, "", "not encrypted", "naïve"):
        with pytest.raises(UndecryptableError):
            decrypt(wrong)


def test_rotation_encrypts_all_secrets_with_the_newest_key(channel: Channel, settings: Settings) -> None:
    change_key(settings, keep=True)
    assert reread(channel).target == TARGET
    with pytest.raises(SystemExit):
        call_command("rotatesecrets", "--check", stdout=StringIO())
    call_command("rotatesecrets", stdout=StringIO())
    settings.SECRET_KEY_FALLBACKS = []
    assert reread(channel).target == TARGET
    output = StringIO()
    call_command("rotatesecrets", "--check", stdout=output)
    assert "notifications_channel.target: 1 current, 0 encrypted with an earlier key" in output.getvalue()


def test_checking_and_repeating_a_rotation_write_nothing(channel: Channel, settings: Settings) -> None:
    change_key(settings, keep=True)
    before = stored()
    with pytest.raises(SystemExit):
        call_command("rotatesecrets", "--check", stdout=StringIO())
    assert stored() == before
    call_command("rotatesecrets", stdout=StringIO())
    rotated = stored()
    call_command("rotatesecrets", stdout=StringIO())
    assert stored() == rotated != before


def test_interrupted_rotation_is_finished_by_the_next_one(
    organization: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = [make_channel(organization) for _ in range(3)]
    change_key(settings, keep=True)
    monkeypatch.setattr(secret_rotation, "BATCH", 1)
    replace, replaced = secret_rotation._replace, list[object]()

    def crash_at_the_third(*arguments: object) -> None:
        if len(replaced) == 2:
            raise KeyboardInterrupt
        replaced.append(arguments)
        replace(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(secret_rotation, "_replace", crash_at_the_third)
        secret_rotation.rotate()
    target = next(each for each in secret_rotation.count_by_key() if str(each.column).endswith("channel.target"))
    assert (target.current, target.older) == (2, 1)
    secret_rotation.rotate()
    settings.SECRET_KEY_FALLBACKS = []
    assert {reread(channel).target for channel in channels} == {TARGET}


def test_value_changed_during_a_rotation_is_kept(
    channel: Channel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_key(settings, keep=True)
    replace = secret_rotation._replace

    def changed_in_the_meantime(*arguments: object) -> None:
        Channel.objects.filter(pk=channel.pk).update(target="https://new.example.com/")
        replace(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(secret_rotation, "_replace", changed_in_the_meantime)
    with system_scope():
        secret_rotation.rotate()
    assert reread(channel).target == "https://new.example.com/"


def test_undecryptable_value_is_kept_until_its_key_returns(channel: Channel, settings: Settings) -> None:
    key = settings.SECRET_KEY
    change_key(settings, keep=False)
    lost = reread(channel)
    assert isinstance(lost.target, Undecryptable)
    assert isinstance(deepcopy(lost.target), Undecryptable)
    lost.save()
    with pytest.raises(SystemExit):
        call_command("rotatesecrets", stdout=StringIO())
    settings.SECRET_KEY = key
    assert reread(channel).target == TARGET


def test_undecryptable_channel_is_reported_everywhere(
    channel: Channel, finance: User, client_of: Callable[[User], Client]
) -> None:
    store(encrypt(TARGET)[:-8] + "damaged=")
    client = client_of(finance)
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "can&#x27;t be decrypted" in page.text
    assert "can&#x27;t be decrypted" in client.post(f"{PAGE}{channel.pk}/test/", follow=True).text
    with system_scope():
        assert not Delivery.objects.exists()
    assert "FAILED No key decrypts 1 in notifications_channel.target" in findings()
    assert client.post(f"{PAGE}{channel.pk}/remove/").status_code == 302
    assert "No key decrypts" not in findings()


@pytest.mark.django_db(transaction=True)
def test_message_to_an_undecryptable_channel_fails_with_the_reason(
    channel: Channel, organization: Organization
) -> None:
    store("damaged")
    send(organization.pk, Notification(type="test", severity="high", title="Budget", text="80%"))
    deliver_pending()
    with system_scope():
        delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_error) == ("failed", "the address or the signing secret can't be decrypted")


def test_doctor_reports_secrets_that_need_a_fallback_key(channel: Channel, settings: Settings) -> None:
    assert "rotatesecrets" not in findings()
    change_key(settings, keep=True)
    assert "note 2 stored secrets need SECRET_KEY_FALLBACKS: run manage.py rotatesecrets" in findings()


@pytest.mark.parametrize(
    ("kind", "target", "shown"),
    [("email", "operations@example.com", "o…@example.com"), ("slack", TARGET, "hooks.example.com")],
)
def test_target_is_never_shown_in_full(
    organization: Organization,
    finance: User,
    admin_client: Client,
    client_of: Callable[[User], Client],
    settings: Settings,
    kind: str,
    target: str,
    shown: str,
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    channel = make_channel(organization, target, kind)
    page = client_of(finance).get(PAGE).text
    raw = admin_client.get(f"/admin/notifications/channel/{channel.pk}/change/")
    with system_scope():
        logged = str(list(AuditEvent.objects.values_list("target", "changes")))
    assert raw.status_code == 200
    assert shown in page
    assert shown in logged
    assert not [text for text in (page, raw.text, logged) if target in text]
