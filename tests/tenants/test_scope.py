import ast
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from aiinfra.tenants.models import ApiKey, AuditEvent, Invitation, Organization
from aiinfra.tenants.scope import (
    NoOrganizationError,
    installation_scope,
    organization_scope,
    owner_scope,
    system_scope,
)
from tests.support.processes import ROOT

MAY_SEE_ALL = {
    "cache_app/learning/proposals.py": "proposes thresholds to every organization",
    "cache_app/metrics/folding.py": "counts hits of every organization",
    "cache_app/tasks.py": "jobs that run for all organizations",
    "cost_app/tasks.py": "jobs that run for all organizations",
    "cost_app/finance/invoices/uploads.py": "imports pending files of every organization",
    "cost_app/budgets/left.py": "metrics of every organization's budgets",
    "cost_app/budgets/refusal_counts.py": "adds up the refused calls of every organization",
    "cost_app/ledger/rollups.py": "finds organizations with pending rollups",
    "cost_app/ledger/sweeper.py": "settles calls of every organization after a crash",
    "cost_app/alerts/checks.py": "checks every organization",
    "aiinfra/gateway/batches/running.py": "runs due batches of every organization",
    "aiinfra/batches/retention.py": "deletes expired files of every organization",
    "aiinfra/erasure/running.py": "runs erasures of every organization",
    "aiinfra/monitoring/rules.py": "thresholds of all organizations, for the alert manager",
    "aiinfra/monitoring/alert_checks.py": "checks every organization",
    "aiinfra/notifications/delivering.py": "sends due messages of every organization",
    "aiinfra/idempotency.py": "deletes expired responses of every organization",
    "aiinfra/secret_rotation.py": "encrypts every organization's secrets with the newest key",
    "aiinfra/tenants/admin.py": "raw records for staff",
    "aiinfra/tenants/invitations.py": "a link is looked up before its organization is known",
    "aiinfra/tenants/key_authentication.py": "a key is looked up before its organization is known",
    "aiinfra/tenants/sso/checks.py": "asks the identity providers of every organization",
    "aiinfra/tenants/sso/enforcement.py": "determines which organizations a session can see",
    "aiinfra/tenants/sso/views.py": "a login begins before its organization is known",
    "aiinfra/tenants/peppers.py": "counts the keys of all organizations that need an earlier pepper",
    "aiinfra/tenants/scope.py": "defines it",
    "cost_app/performance/figures.py": "the average latency of a provider in the whole installation",
    "cost_app/recommendations/compute.py": "computes the recommendations of every organization",
    "cost_app/ledger/reconciliation.py": "compares the ledger of the whole installation",
    "queue_app/queries.py": "finds ended requests that clients of any organization wait for",
    "queue_app/ordering/claims.py": "claims the next request of all organizations",
    "queue_app/stats/outcome_counts.py": "figures for staff",
    "queue_app/caching/coalescing.py": "finds lost followers of every organization",
    "queue_app/stats/depth_now.py": "metrics of every organization's queue",
    "queue_app/stats/events.py": "figures for every organization with a listening client",
    "queue_app/python_api.py": "the Python API of trusted local programs",
    "queue_app/ordering/direct_start.py": "a provider limit counts the calls of all organizations",
    "queue_app/ordering/provider_limits.py": "a provider limit counts the calls of all organizations",
    "queue_app/stats/tenant_load.py": "figures by organization, for staff",
    "queue_app/stats/pressure.py": "figures of all organizations, for the alert manager",
    "queue_app/caching/rechecks.py": "checks hits of every organization",
    "queue_app/repair/every_second.py": "repairs requests of every organization after a crash",
    "queue_app/repair/index_repair.py": "repairs the index of every organization after a crash",
    "queue_app/scheduler.py": "jobs that run for all organizations",
    "queue_app/repair/stuck.py": "finds stuck requests of every organization",
}

MAY_SEE_THE_INSTALLATION = {
    "aiinfra/tenants/access.py": "pages for staff",
    "aiinfra/tenants/scope.py": "defines it",
}


@pytest.mark.parametrize("model", [ApiKey, AuditEvent, Invitation])
def test_query_without_an_organization_raises(model: type[ApiKey]) -> None:
    with pytest.raises(NoOrganizationError):
        model.objects.all()


def test_organization_scope_sees_one_organization_and_system_scope_sees_all(
    organization: Organization, other_organization: Organization
) -> None:
    for each in (organization, other_organization):
        with organization_scope(each.pk):
            AuditEvent.objects.create(organization=each, actor="x", verb="a.b", target="t")
    with organization_scope(organization.pk):
        assert AuditEvent.objects.get().organization_id == organization.pk
    with system_scope():
        assert AuditEvent.objects.count() == 2


@pytest.mark.parametrize("way", ["create", "insert"])
def test_row_of_another_organization_cannot_be_inserted_in_a_scope(
    organization: Organization, other_organization: Organization, way: str
) -> None:
    foreign = {"organization_id": other_organization.pk, "actor": "x", "verb": "a.b", "target": "t"}

    def write() -> None:
        AuditEvent.objects.create(**foreign) if way == "create" else AuditEvent.objects.insert(AuditEvent(**foreign))

    with organization_scope(organization.pk), pytest.raises(NoOrganizationError):
        write()
    with pytest.raises(NoOrganizationError):
        write()
    with system_scope():
        assert not AuditEvent.objects.exists()
        write()
    with organization_scope(other_organization.pk):
        write()
        assert AuditEvent.objects.count() == 2


def test_inserting_never_overwrites_a_row(organization: Organization) -> None:
    with organization_scope(organization.pk):
        row = ApiKey.objects.create(
            organization=organization, key_id="a" * 8, secret_digest="x", name="bot", role="viewer", scopes=[]
        )
        row.secret_digest = "y"
        with pytest.raises(IntegrityError), transaction.atomic():
            ApiKey.objects.insert(row)
        assert ApiKey.objects.get().secret_digest == "x"


def test_inner_scope_restores_the_outer_scope(organization: Organization, other_organization: Organization) -> None:
    with organization_scope(organization.pk):
        with organization_scope(other_organization.pk), system_scope():
            pass
        row = AuditEvent.objects.create(organization=organization, actor="x", verb="a.b", target="t")
        assert AuditEvent.objects.get() == row


def test_scope_ends_with_its_block_even_after_an_error(organization: Organization) -> None:
    with pytest.raises(RuntimeError), organization_scope(organization.pk):
        raise RuntimeError
    with pytest.raises(NoOrganizationError):
        AuditEvent.objects.count()


def test_only_listed_files_use_the_system_scope() -> None:
    assert users_of("system_scope") == set(MAY_SEE_ALL)


def test_only_listed_files_use_the_installation_scope() -> None:
    assert users_of("installation_scope") == set(MAY_SEE_THE_INSTALLATION)


def test_organization_and_installation_rows_are_separate(organization: Organization) -> None:
    for owner in (organization, None):
        with owner_scope(owner and owner.pk):
            AuditEvent.objects.create(organization=owner, actor="x", verb="a.b", target="t")
    with installation_scope():
        assert AuditEvent.objects.get().organization_id is None
        assert not ApiKey.objects.exists()
        with pytest.raises(NoOrganizationError):
            AuditEvent.objects.create(organization=organization, actor="x", verb="a.b", target="t")
    with organization_scope(organization.pk):
        assert AuditEvent.objects.get().organization_id == organization.pk
        with pytest.raises(NoOrganizationError):
            AuditEvent.objects.create(organization=None, actor="x", verb="a.b", target="t")
    with system_scope():
        assert AuditEvent.objects.count() == 2


def users_of(scope: str) -> set[str]:
    packages = ("aiinfra", "queue_app", "cache_app", "cost_app")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)) for path in files if _mentions(path, scope)}


def _mentions(path: Path, scope: str) -> bool:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source if scope in source else "")
    names = (node.id if isinstance(node, ast.Name) else getattr(node, "name", "") for node in ast.walk(tree))
    return scope in names
