"""PostgreSQL policies hide rows of other organizations from queries without a filter, and hide nothing else."""

import os
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction

from aiinfra.postgres.base import ScopedCursor
from aiinfra.stack import doctor
from aiinfra.tenants import audit, row_security
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, AuditEvent, Organization
from aiinfra.tenants.scope import installation_scope, organization_scope, system_scope
from cost_app.ledger.reconciliation import disagreements
from queue_app.models import AIRequest, Status
from queue_app.processing.provider_call import process
from queue_app.scheduler import lanes
from tests.api.support import new_key
from tests.queue_app.conftest import ScriptedProvider, claimed, provider, queue, send, submit  # noqa: F401 - fixtures
from tests.security.test_isolation import (  # noqa: F401 - fixtures, and a test that runs here too
    _queue,
    caller,
    ids_of,
    test_list_cursor_of_another_organization_shows_only_own_requests,
    theirs,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no row-level security"),
]
ROLE = f"aiinfra_walled_{os.getpid()}"


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture(autouse=True)
def _restricted(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Continues the test's transaction as a role that the policies restrict."""
    run(f"CREATE ROLE {ROLE}")
    call_command("row_security", "on", "--role", ROLE, stdout=StringIO())
    run(f"SET LOCAL ROLE {ROLE}")
    monkeypatch.setattr(connection.connection, "cursor_factory", ScopedCursor)
    monkeypatch.setattr(connection, "_kept", (None, None))  # a cursor without a scope
    monkeypatch.setitem(connection.settings_dict, "ROW_SECURITY", True)
    yield
    run("RESET ROLE")


@pytest.fixture
def keys(organization: Organization, other_organization: Organization) -> list[ApiKey]:
    """One key per organization."""
    for each in (organization, other_organization):
        new_key(each, Role.OWNER)
    with system_scope():
        return list(ApiKey.objects.order_by("pk"))


def unfiltered(model: type[Any] = ApiKey) -> Any:
    """A query without an organization filter."""
    return model._base_manager.all()


def test_query_without_a_filter_sees_one_organization(keys: list[ApiKey], organization: Organization) -> None:
    with organization_scope(organization.pk):
        assert list(unfiltered()) == [keys[0]]
        assert unfiltered().update(name="ours") == 1
        assert unfiltered().filter(pk=keys[1].pk).delete()[0] == 0
    with system_scope():
        assert [key.name == "ours" for key in unfiltered().order_by("pk")] == [True, False]


@pytest.mark.usefixtures("keys")
def test_query_without_a_scope_sees_nothing() -> None:
    assert not unfiltered().exists()


def test_installation_scope_sees_only_its_own_rows(organization: Organization) -> None:
    for owner in (organization.pk, None):
        with system_scope():
            audit.record(organization_id=owner, actor="test", verb="test.done", target="x")
    with installation_scope():
        assert {each.organization_id for each in unfiltered(AuditEvent)} == {None}


def test_row_of_another_organization_cannot_be_stored(keys: list[ApiKey], organization: Organization) -> None:
    copy = ApiKey(pk=None, organization_id=keys[1].organization_id, name="theirs", role="viewer", key_id="x" * 8)
    with organization_scope(organization.pk):
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            ApiKey._base_manager.bulk_create([copy])  # type: ignore[attr-defined]
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            unfiltered().update(organization_id=keys[1].organization_id)


def test_scope_is_correct_after_an_error(keys: list[ApiKey], organization: Organization) -> None:
    with organization_scope(organization.pk), pytest.raises(IntegrityError), transaction.atomic():
        Organization.objects.create(slug=organization.slug)
    with organization_scope(keys[1].organization_id):
        assert list(unfiltered()) == [keys[1]]


def test_every_tenant_table_has_a_policy(django_assert_num_queries: Callable[[int], Any]) -> None:
    assert row_security.restricted_tables() == set(row_security.tenant_tables())
    assert row_security.is_on()
    with organization_scope(1), django_assert_num_queries(1):
        assert not unfiltered().exists()
    assert "Row-level security is on" in [finding.text for finding in doctor._row_security()]


def test_policies_do_not_change_the_plan_for_the_newest_rows() -> None:
    run("RESET ROLE")
    run("CREATE TABLE plans AS SELECT n, n % 50 AS organization_id FROM generate_series(1, 20000) AS n")
    run("CREATE INDEX ON plans (organization_id, n)")
    run("ANALYZE plans")
    run(f"CREATE POLICY {row_security.POLICY} ON plans USING ({row_security.ROW_IS_VISIBLE})")
    run("ALTER TABLE plans ENABLE ROW LEVEL SECURITY")
    run(f"GRANT SELECT ON plans TO {ROLE}")
    run(f"SET LOCAL ROLE {ROLE}")
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT * FROM plans WHERE organization_id = 5 ORDER BY n DESC LIMIT 50")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Filter: CASE" in plan
    assert "Backward" in plan


def test_create_policies_adds_policies_to_new_tables() -> None:
    run("RESET ROLE")
    table = ApiKey._meta.db_table
    run(f"DROP POLICY {row_security.POLICY} ON {table}")
    run(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    row_security.create_policies()
    run(f"SET LOCAL ROLE {ROLE}")
    assert table in row_security.restricted_tables()


def test_doctor_compares_setting_and_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ROW_SECURITY", False)
    assert [finding.text for finding in doctor._row_security()] == ["This role needs DATABASE_ROW_SECURITY=true"]
    monkeypatch.setitem(connection.settings_dict, "ROW_SECURITY", True)
    run("RESET ROLE")
    (finding,) = doctor._row_security()
    assert finding.text.startswith("Row-level security does not restrict this role in ")


def test_role_that_bypasses_policies_is_rejected() -> None:
    run("RESET ROLE")
    for role, problem in (("postgres", "is a superuser"), ("nobody", "does not exist")):
        with pytest.raises(CommandError, match=problem):
            call_command("row_security", "on", "--role", role)
    with pytest.raises(CommandError, match="Name the role"):
        call_command("row_security", "on")
    call_command("row_security", "off", stdout=StringIO())
    assert not row_security.is_on()


def test_request_and_all_scheduler_jobs_work_with_policies(
    claimed: Callable[..., Any],  # noqa: F811
    provider: ScriptedProvider,  # noqa: F811
    organization: Organization,
) -> None:
    with organization_scope(organization.pk):
        claim = claimed()
        process(claim)
        assert AIRequest.objects.get().status == Status.COMPLETED
    for lane in lanes():
        for job in lane:
            job.run()
    assert len(provider.calls) == 1
    assert list(disagreements()) == []
