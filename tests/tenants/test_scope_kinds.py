"""How each kind of scope begins, ends, and is named, and how often prepared statements are written."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import (
    NoOrganizationError,
    installation_scope,
    organization_in_scope,
    organization_scope,
    owner_scope,
    scope_in_force,
    system_scope,
)

Scope = Callable[[], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("scope", "organization_id", "name"),
    [
        (nullcontext, None, ""),
        (lambda: organization_scope(1), 1, "1"),
        (lambda: organization_scope(7), 7, "7"),
        (lambda: owner_scope(7), 7, "7"),
        (system_scope, None, "-1"),
        (installation_scope, None, "-2"),
        (lambda: owner_scope(None), None, "-2"),
    ],
    ids=["none", "organization 1", "organization 7", "owner", "system", "installation", "no owner"],
)
def test_scope_is_named_as_the_policies_of_postgresql_read_it(
    scope: Scope, organization_id: int | None, name: str
) -> None:
    with scope():
        assert (organization_in_scope(), scope_in_force()) == (organization_id, name)


@pytest.mark.parametrize("scope", [lambda: organization_scope(7), system_scope, installation_scope])
def test_scope_ends_with_its_block(scope: Scope) -> None:
    with scope(), scope():
        pass
    assert scope_in_force() == ""
    with pytest.raises(NoOrganizationError):
        AuditEvent.objects.all()


def events_of(organization: Organization | None, count: int) -> list[AuditEvent]:
    return [AuditEvent(organization=organization, actor="x", verb="a.b", target="t") for _ in range(count)]


def test_prepared_statement_is_written_once_for_each_kind_of_scope(
    organization: Organization, other_organization: Organization
) -> None:
    written = []

    def build(rows: Any) -> Any:
        written.append(scope_in_force())
        return rows.order_by("id")

    select = AuditEvent.objects.prepare_select(build)
    with system_scope():
        for owner, count in ((organization, 1), (other_organization, 2), (None, 4)):
            AuditEvent.objects.insert_all(events_of(owner, count))
    for _ in range(2):
        for owner, count in ((organization, 1), (other_organization, 2), (None, 4)):
            with owner_scope(owner.pk if owner else None):
                assert len(select.run()) == count
        with system_scope():
            assert len(select.run()) == 7
    assert written == [str(organization.pk), "-2", "-1"]


def test_querysets_are_in_scope_after_a_statement_is_prepared(
    organization: Organization, other_organization: Organization
) -> None:
    with system_scope():
        AuditEvent.objects.insert_all([*events_of(organization, 1), *events_of(other_organization, 2)])
    select = AuditEvent.objects.prepare_select(lambda rows: rows)
    with organization_scope(organization.pk):
        select.run()
    with organization_scope(other_organization.pk):
        assert AuditEvent.objects.count() == 2


def test_fetch_loads_only_the_related_rows_that_are_named(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with organization_scope(organization.pk):
        event = AuditEvent.objects.create(organization=organization, actor="x", verb="a.b", target="t")
        for related in ((), ("organization",)):
            fetched = AuditEvent.objects.fetch(*related, id=event.pk)
            assert fetched is not None
            with django_assert_num_queries(0 if related else 1):
                assert fetched.organization == organization
