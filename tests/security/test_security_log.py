"""The security log and the hash chains: recorded events, tamper detection, and limits per minute."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks

from aiinfra.append_only import create_triggers, drop_triggers
from aiinfra.logs import request_id_var
from aiinfra.redis import redis_client
from aiinfra.tenants import audit, keys
from aiinfra.tenants.audit_trail import verify_all
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.caller import called_from
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.security_log import repeats
from aiinfra.tenants.security_log.chain import digest_of
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from aiinfra.tenants.security_log.recorder import record
from tests.security.logged_events import write
from tests.security.racers import EVENTS
from tests.support.processes import ROOT
from tests.support.race import RunRace

TABLE = "security_log_securityevent"
AUDIT_TABLE = "tenants_auditevent"
BAD_KEY = "Bearer aik_Ab3dE6gH_" + "x" * 32 + "_000000"


@contextmanager
def unlocked(table: str) -> Iterator[None]:
    """Drops the triggers, as an attacker with schema rights could."""
    with connection.schema_editor() as editor:
        drop_triggers(editor, table)
    yield
    with connection.schema_editor() as editor:
        create_triggers(editor, table)


def tamper(table: str, statement: str) -> None:
    with unlocked(table), connection.cursor() as cursor:
        cursor.execute(statement)


def problems() -> list[str]:
    return [f"{each.chain}: {each.problem}" for each in verify_all() if each.problem]


@pytest.mark.django_db
def test_event_records_actor_address_and_request_without_a_scope() -> None:
    token = request_id_var.set("request-1")
    with called_from("2001:db8::7"):
        row = record(Event.LOG_IN, actor="user:anna", organization="north", target="session", details={"way": "oidc"})
    request_id_var.reset(token)
    row = SecurityEvent.objects.get(sequence=row.sequence)
    assert (row.event, row.actor, row.organization, row.target) == ("login.succeeded", "user:anna", "north", "session")
    assert (row.ip_address, row.request_id, row.details) == ("2001:db8::7", "request-1", {"way": "oidc"})


@pytest.mark.django_db
def test_malicious_values_are_stored_in_a_bounded_row_that_verifies() -> None:
    hostile = "\0\ud800" + "x" * 10_000
    deep: dict[str, object] = {"a": 1.5}
    for _ in range(50):
        deep = {"a": deep}
    row = record("login.failed", actor=hostile, organization=hostile, address="::ffff:1.2.3.4", target=hostile)
    record("login.failed", details={hostile: hostile, "deep": deep, "large": 10**30, "many": list(range(1000))})
    record("login.failed", address="not an address", request_id=hostile)
    assert len(row.actor) <= 200
    assert problems() == []


@pytest.mark.django_db
def test_both_logs_verify_and_print_their_heads(organization: Organization) -> None:
    rows = write()
    audit.record(organization_id=organization.pk, actor="user:x", verb="member.added", target="y", changes={"a": [1.0]})
    audit.record(organization_id=None, actor="user:x", verb="price.changed", target="y", ip_address="10.0.0.1")
    output = StringIO()
    call_command("audit", "--verify", stdout=output)
    assert "security: 5 events verified, head security:5:" in output.getvalue()
    assert "audit:north: 1 events verified" in output.getvalue()
    assert "audit:installation: 1 events verified" in output.getvalue()
    assert rows[1].digest == digest_of(rows[0].digest, 2, rows[1].chained())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE security_log_securityevent SET actor = 'user:other' WHERE sequence = 2",
            "security: event 2 was changed",
        ),
        (
            "UPDATE security_log_securityevent SET ip_address = '10.9.9.9' WHERE sequence = 2",
            "security: event 2 was changed",
        ),
        ("UPDATE {table} SET details = '{}' WHERE sequence = 2", "security: event 2 was changed"),
        (
            "DELETE FROM security_log_securityevent WHERE sequence = 2",
            "security: event 2 is missing; the next one is 3",
        ),
        ("DELETE FROM {table} WHERE sequence > 1", "security: events 2 to 3 are missing"),
        ("DELETE FROM {table}", "security: events 1 to 3 are missing"),
    ],
)
def test_change_of_the_security_log_is_detected_and_named(statement: str, problem: str) -> None:
    write()
    tamper(TABLE, statement.replace("{table}", TABLE))
    assert problems() == [problem]
    with pytest.raises(CommandError, match="do not verify"):
        call_command("audit", "--verify", stdout=StringIO())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE tenants_auditevent SET target = 'z' WHERE sequence = 1", "audit:north: event 1 was changed"),
        ("DELETE FROM tenants_auditevent WHERE sequence = 2", "audit:north: events 2 to 2 are missing"),
    ],
)
def test_change_of_an_audit_log_is_detected(statement: str, problem: str) -> None:
    organization = Organization.objects.create(slug="north")
    for target in "ab":
        audit.record(organization_id=organization.pk, actor="user:x", verb="member.added", target=target)
    tamper(AUDIT_TABLE, statement)
    assert problems() == [problem]


def test_audit_event_outside_the_chain_is_detected(organization: Organization) -> None:
    with organization_scope(organization.pk):
        row = AuditEvent.objects.create(organization=organization, actor="user:x", verb="a.b", target="t")
    assert problems() == [f"audit:north: the event {row.pk} is not in the chain"]


@pytest.mark.django_db
def test_rebuilt_chain_does_not_match_an_exported_anchor() -> None:
    first = write(1)[0]
    call_command("audit", "--verify", anchor=[f"security:1:{first.digest}"], stdout=StringIO())
    output = StringIO()
    with pytest.raises(CommandError):
        call_command("audit", "--verify", anchor=[f"security:1:{'0' * 64}"], stdout=output)
    assert "event 1 is not the one that was written" in output.getvalue()
    with pytest.raises(CommandError, match="is not CHAIN:SEQUENCE:DIGEST"):
        call_command("audit", "--verify", anchor=["x"], stdout=output)


@pytest.mark.django_db(transaction=True)
def test_concurrent_processes_append_to_one_chain_each(run_race: RunRace) -> None:
    for slug in ("north", "south"):
        Organization.objects.create(slug=slug)
    run_race("tests.security.racers", [("write", "north"), ("write", "north"), ("write", "south")])
    assert problems() == []
    assert SecurityEvent.objects.filter(event=Event.LOG_IN_FAILED).count() == 3 * EVENTS
    assert SecurityEvent.objects.count() == 6 * EVENTS


@pytest.mark.django_db
def test_event_is_rolled_back_with_its_change() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        write()
        raise RuntimeError
    write(1)
    assert SecurityEvent.objects.get().sequence == 1
    assert problems() == []


def test_only_changes_of_rights_and_settings_are_recorded(organization: Organization) -> None:
    keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="user:owner")
    audit.record(organization_id=organization.pk, actor="user:owner", verb="request.cancelled", target="1")
    row = SecurityEvent.objects.get()
    assert (row.event, row.organization, row.actor) == ("api_key.created", "north", "user:owner")


@pytest.mark.usefixtures("redis_url")
def test_flood_of_invalid_keys_adds_two_rows_per_minute(client: Client, db: None) -> None:
    for _ in range(30):
        assert client.get("/api/ai/queue?action=stats", headers={"authorization": BAD_KEY}).status_code == 401
    first = SecurityEvent.objects.get(event=Event.KEY_REFUSED)
    assert (first.target, first.ip_address) == ("key:Ab3dE6gH", "127.0.0.1")
    end_minutes()
    assert repeats.settle() >= 1
    rows = SecurityEvent.objects.filter(event=Event.KEY_REFUSED)
    assert sum(row.details.get("repeated", 1) for row in rows) == 30
    assert repeats.settle() == 0
    assert problems() == []


@pytest.mark.usefixtures("redis_url")
def test_flood_of_different_keys_is_bounded(db: None) -> None:
    for number in range(repeats.DIFFERENT_MAX + 50):
        repeats.count(Event.KEY_REFUSED, target=f"key:{number}")
    written = SecurityEvent.objects.count()
    assert written <= 2 * repeats.DIFFERENT_MAX
    end_minutes()
    repeats.settle()
    others = SecurityEvent.objects.filter(event=Event.OTHERS)
    assert written + sum(row.details["repeated"] for row in others) == repeats.DIFFERENT_MAX + 50


@pytest.mark.usefixtures("redis_url")
def test_minute_written_before_a_crash_is_not_written_again(db: None) -> None:
    for _ in range(2):
        repeats.count(Event.KEY_REFUSED, target="key:a")
    end_minutes()
    client = redis_client()
    kept = {key: client.dump(key) for key in client.keys("*security-log*")}  # type: ignore[union-attr]
    repeats.settle()
    rows = SecurityEvent.objects.count()
    for key, value in kept.items():
        client.restore(key, 0, value, replace=True)
    assert repeats.settle() == 0
    assert SecurityEvent.objects.count() == rows


def end_minutes() -> None:
    """Move all counted minutes into the past."""
    client = redis_client()
    for name in client.smembers("{security-log}:minutes"):  # type: ignore[union-attr]
        bucket, _, minute = name.rpartition(":")
        earlier = f"{bucket}:{int(minute) - 10}"
        for kind in ("", "first:"):
            client.rename(f"{{security-log}}:{kind}{name}", f"{{security-log}}:{kind}{earlier}")
        client.srem("{security-log}:minutes", name)
        client.sadd("{security-log}:minutes", earlier)


def test_first_events_of_a_minute_are_written_without_redis(
    db: None, monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    monkeypatch.setattr(repeats, "WITHOUT_REDIS_MAX", 3)
    monkeypatch.setattr(repeats, "_direct", {"minute": -1, "rows": 0})
    for _ in range(10):
        repeats.count(Event.KEY_REFUSED, target="key:a")
    assert 3 <= SecurityEvent.objects.count() <= 6


def test_refused_permission_is_recorded_with_actor_and_target(
    viewer: User, client_of: Callable[[User], Client]
) -> None:
    client_of(viewer).get("/settings/keys/")
    row = SecurityEvent.objects.get(event=Event.PERMISSION_REFUSED)
    assert (row.actor, row.organization, row.target) == ("user:viewer", "north", "GET /settings/keys/")


@pytest.mark.django_db
def test_export_contains_every_event_once_and_is_recorded() -> None:
    rows = write()
    output = StringIO()
    call_command("audit", "--export", after=1, stdout=output)
    exported = [json.loads(text) for text in output.getvalue().splitlines()]
    assert [each["sequence"] for each in exported] == [2, 3]
    assert exported[0]["digest"] == rows[1].digest
    assert SecurityEvent.objects.get(sequence=4).event == Event.LOG_EXPORTED


@pytest.mark.django_db
def test_event_is_streamed_after_its_commit(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda each: lines.append(each.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("aiinfra.security_log")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            write(1)
            assert lines == []
    finally:
        logger.removeHandler(handler)
    assert json.loads(lines[0])["event"] == "login.failed"


def test_every_event_is_documented() -> None:
    text = (ROOT / "docs" / "security-log.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.MULTILINE))
    assert documented == set(Event)
