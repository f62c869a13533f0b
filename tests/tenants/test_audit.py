import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from aiinfra.keyset import RowPage, row_page
from aiinfra.logs import request_id_var
from aiinfra.tenants import audit
from aiinfra.tenants.caller import called_from
from aiinfra.tenants.models import ApiKey, AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from tests.support.emptying import empty


def write(organization: Organization, target: str = "target", **more: object) -> AuditEvent:
    fields = {"actor": "user:owner", "verb": "member.added", **more}
    return audit.record(organization_id=organization.pk, target=target, **fields)  # type: ignore[arg-type]


def test_event_records_request_id_and_address(organization: Organization) -> None:
    token = request_id_var.set("request-1")
    with called_from("10.0.0.7"):
        event = write(organization, changes={"role": [None, "viewer"]})
    request_id_var.reset(token)
    assert (event.request_id, event.ip_address, event.changes) == ("request-1", "10.0.0.7", {"role": [None, "viewer"]})


def page(cursor: str = "") -> RowPage[AuditEvent]:
    return row_page(audit.audit_events(), "at", "id", cursor=cursor, size=2)


@pytest.mark.parametrize("statement", ["UPDATE tenants_auditevent SET actor = 'x'", "DELETE FROM tenants_auditevent"])
def test_database_rejects_changes_and_deletions(organization: Organization, statement: str) -> None:
    write(organization)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_flush_keeps_the_append_only_triggers() -> None:
    write(Organization.objects.create(slug="emptied"))
    empty()
    with system_scope():
        assert not AuditEvent.objects.exists()
    write(Organization.objects.create(slug="filled"))
    with system_scope(), pytest.raises(DatabaseError), transaction.atomic():
        AuditEvent.objects.all().delete()


def test_events_are_paged_by_time_and_id(organization: Organization) -> None:
    now = timezone.now()
    for number in range(5):
        event = write(organization, str(number))
        assert event.at >= now
    with organization_scope(organization.pk):
        whole = list(audit.audit_events())
        assert [event.target for event in whole] == ["4", "3", "2", "1", "0"]
        first = page()
        assert first.rows == whole[:2]
        assert page(first.next_cursor).rows == whole[2:4]


def test_paging_neither_loses_nor_repeats_events_with_the_same_time(organization: Organization) -> None:
    now = timezone.now()
    rows = [AuditEvent(organization=organization, at=now, actor="x", verb="a.b", target=str(n)) for n in range(4)]
    with organization_scope(organization.pk):
        AuditEvent.objects.bulk_create(rows)
        first = page()
        second = page(first.next_cursor)
    assert {row.pk for row in first.rows + second.rows} == {row.pk for row in rows}
    assert len(second.rows) == 2


def test_events_are_filtered_by_actor_verb_and_text(organization: Organization) -> None:
    write(organization, "anna")
    write(organization, "bot", actor="key:Ab3dE6gH", verb="api_key.created")
    with organization_scope(organization.pk):
        assert audit.audit_events(actor="key:").get().target == "bot"
        assert audit.audit_events(verb="member.").get().target == "anna"
        assert audit.audit_events(text="ANN").get().target == "anna"
        assert audit.audit_events(text="ab3d").get().target == "bot"


def test_actors_are_named_by_kind() -> None:
    assert audit.user_actor(User(username="owner@demo")) == "user:owner@demo"
    assert audit.key_actor(ApiKey(key_id="Ab3dE6gH")) == "key:Ab3dE6gH"
    assert audit.command_actor("createorg") == "command:createorg"


def test_failed_transaction_leaves_no_event(organization: Organization) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        write(organization)
        raise RuntimeError
    with organization_scope(organization.pk):
        assert not AuditEvent.objects.exists()


TRIGGERS = {
    "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT event_object_table, trigger_name FROM information_schema.triggers",
}


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["tenants_auditevent", "cost_app_ledgerentry", "cost_app_modelprice"])
def test_audit_tables_are_append_only(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS[connection.vendor])
        assert {(table, f"{table}_no_update"), (table, f"{table}_no_delete")} <= set(cursor.fetchall())
