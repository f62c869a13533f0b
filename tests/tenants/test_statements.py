"""Prepared statements behave like querysets and respect organization scopes."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import MultipleObjectsReturned
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Q, Sum
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import NoOrganizationError, organization_scope, system_scope
from aiinfra.tenants.shapes import Plus, UnlessSet
from aiinfra.tenants.statements import Parameter
from queue_app.models import AIRequest, RequestContent, Status

NOON = timezone.make_aware(datetime(2026, 5, 4, 12))  # noqa: DTZ001 - made aware right here


def request_of(organization: Organization, **columns: Any) -> AIRequest:
    return AIRequest(organization_id=organization.pk, provider="openai", model="m", **columns)


def stored(request: AIRequest) -> AIRequest:
    """The request as a queryset reads it."""
    with system_scope():
        return AIRequest.objects.get(id=request.id)


def columns_of(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_inserted_row_has_every_value_of_the_instance(organization: Organization) -> None:
    row = request_of(
        organization, tags=["a", 'b"'], metadata={"k": [1, None]}, lease_until=NOON, cached=True, idempotency_key=None
    )
    with organization_scope(organization.pk):
        assert AIRequest.objects.insert(row) is row
    assert columns_of(stored(row)) == columns_of(row)
    assert not row._state.adding


def test_inserted_row_gets_its_automatic_key(organization: Organization) -> None:
    with organization_scope(organization.pk):
        event = AuditEvent.objects.create(organization=organization, actor="x", verb="a.b", target="t")
        assert AuditEvent.objects.get().pk == event.pk


def test_insert_all_runs_one_statement(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [request_of(organization, user_ref=str(number)) for number in range(3)]
    with organization_scope(organization.pk):
        with django_assert_num_queries(1):
            AIRequest.objects.insert_all(rows)
        AIRequest.objects.insert_all([])
        assert set(AIRequest.objects.values_list("id", "user_ref")) == {(row.id, row.user_ref) for row in rows}


def test_insert_all_assigns_automatic_keys_in_order(organization: Organization) -> None:
    events = [AuditEvent(organization=organization, actor=name, verb="a.b", target="t") for name in "xyz"]
    with organization_scope(organization.pk):
        AuditEvent.objects.insert_all(events)
        assert dict(AuditEvent.objects.values_list("id", "actor")) == {event.pk: event.actor for event in events}


def test_rows_of_another_organization_cannot_be_inserted(
    organization: Organization, other_organization: Organization
) -> None:
    rows = [request_of(organization), request_of(other_organization)]
    with organization_scope(organization.pk), pytest.raises(NoOrganizationError):
        AIRequest.objects.insert_all(rows)
    with pytest.raises(NoOrganizationError):
        AIRequest.objects.insert(rows[0])
    with system_scope():
        assert not AIRequest.objects.exists()


def test_failed_statement_breaks_its_transaction_like_any_query(organization: Organization) -> None:
    with organization_scope(organization.pk):
        row = AIRequest.objects.insert(request_of(organization))
        with pytest.raises(IntegrityError), transaction.atomic():
            AIRequest.objects.insert(row)
        with pytest.raises(IntegrityError), transaction.atomic():
            AIRequest.objects.change({"status": "unknown"}, id=row.id)
        assert AIRequest.objects.count() == 1


def test_fetch_returns_the_same_row_as_a_queryset(organization: Organization) -> None:
    row = request_of(organization, tags=["a"], metadata={"k": 1}, lease_until=NOON, cached=True)
    with organization_scope(organization.pk):
        AIRequest.objects.insert(row)
        assert AIRequest.objects.fetch(id=str(row.id)) == row
        fetched = AIRequest.objects.fetch(id=row.id)
        assert fetched is not None
        assert columns_of(fetched) == columns_of(stored(row))
        assert fetched == row
        assert AIRequest.objects.fetch(id=uuid.uuid4()) is None


def test_fetch_loads_a_related_row_in_the_same_query(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    row = request_of(organization, tags=["a"])
    with organization_scope(organization.pk):
        AIRequest.objects.insert(row)
        RequestContent.objects.create(organization=organization, request=row, call=b"call")
        with django_assert_num_queries(1):
            content = RequestContent.objects.fetch("request", request_id=row.id)
            assert content is not None
            assert columns_of(content.request) == columns_of(row)
            assert bytes(content.call) == b"call"


def test_fetching_one_of_several_rows_raises(organization: Organization) -> None:
    with organization_scope(organization.pk):
        AIRequest.objects.insert_all([request_of(organization), request_of(organization)])
        with pytest.raises(MultipleObjectsReturned):
            AIRequest.objects.fetch(provider="openai")


def test_filters_compare_like_a_queryset(organization: Organization) -> None:
    row = request_of(organization, lease_until=NOON, status=Status.PROCESSING)
    later = NOON + timedelta(seconds=1)
    with organization_scope(organization.pk):
        AIRequest.objects.insert(row)
        assert AIRequest.objects.fetch(lease_until__lt=later, status__in=[Status.PENDING, Status.PROCESSING]) == row
        assert AIRequest.objects.fetch(lease_until__lt=NOON) is None
        assert AIRequest.objects.fetch(status__in=[Status.PENDING]) is None
        assert AIRequest.objects.fetch(completed_at=None) == row
        assert AIRequest.objects.fetch(lease_until=None) is None
        assert AIRequest.objects.fetch(lease_until=NOON) == row


def test_change_updates_only_matching_rows(organization: Organization) -> None:
    row, other = request_of(organization), request_of(organization)
    with organization_scope(organization.pk):
        AIRequest.objects.insert_all([row, other])
        columns = {"status": Status.PROCESSING, "lease_until": NOON, "tags": ["t"], "crashes": Plus(2)}
        assert AIRequest.objects.change(columns, id=row.id, status=Status.PENDING) == 1
        assert AIRequest.objects.change(columns, id=row.id, status=Status.PENDING) == 0
    changed = stored(row)
    assert (changed.status, changed.lease_until, changed.tags, changed.crashes) == ("processing", NOON, ["t"], 2)
    assert stored(other).status == Status.PENDING


def test_unless_set_keeps_the_first_value(organization: Organization) -> None:
    row = request_of(organization)
    with organization_scope(organization.pk):
        AIRequest.objects.insert(row)
        for time in (NOON, NOON + timedelta(hours=1)):
            AIRequest.objects.change({"started_at": UnlessSet(time)}, id=row.id)
    assert stored(row).started_at == NOON


def test_same_statement_serves_every_scope(organization: Organization, other_organization: Organization) -> None:
    rows = {each.pk: request_of(each) for each in (organization, other_organization)}
    with system_scope():
        AIRequest.objects.insert_all(list(rows.values()))
    for owner, row in rows.items():
        for id_, theirs in rows.items():
            with organization_scope(id_):
                assert AIRequest.objects.fetch(id=row.id) == (row if owner == id_ else None)
                assert AIRequest.objects.change({"worker": "w"}, id=row.id) == (owner == id_)
                assert theirs.organization_id == id_
        with system_scope():
            assert AIRequest.objects.fetch(id=row.id) == row
            assert AIRequest.objects.change({"worker": "w"}, id=row.id) == 1
        with pytest.raises(NoOrganizationError):
            AIRequest.objects.fetch(id=row.id)
        with pytest.raises(NoOrganizationError):
            AIRequest.objects.change({"worker": "w"}, id=row.id)


def test_prepared_statement_accepts_expressions_and_stays_in_scope(
    organization: Organization, other_organization: Organization
) -> None:
    select = AIRequest.objects.prepare_select(
        lambda rows: (
            rows.filter(Q(worker="w") | Q(crashes__lt=Parameter("most", "crashes")))
            .annotate(total=Sum("crashes") + Parameter("more", "crashes"))
            .order_by("-crashes")
        )
    )
    update = AIRequest.objects.prepare_update(
        lambda rows: rows.filter(crashes__lte=F("max_retries") - Parameter("step", "crashes")),
        crashes=F("crashes") + Parameter("step", "crashes"),
    )
    row, theirs = request_of(organization), request_of(other_organization)
    with system_scope():
        AIRequest.objects.insert_all([row, theirs])
    with organization_scope(organization.pk):
        assert [update.run(step=2), update.run(step=2)] == [1, 0]
        [found] = select.run(most=3, more=5)
        assert (found.id, found.total) == (row.id, 7)
        assert select.run(most=2, more=5) == []
    assert stored(theirs).crashes == 0


def test_subquery_of_a_prepared_statement_is_in_scope(
    organization: Organization, other_organization: Organization
) -> None:
    with_content = AIRequest.objects.prepare_select(
        lambda rows: rows.filter(Exists(RequestContent.objects.filter(call=Parameter("call"))))
    )
    for owner in (organization, other_organization):
        with organization_scope(owner.pk):
            row = AIRequest.objects.insert(request_of(owner))
            RequestContent.objects.create(organization=owner, request=row, call=owner.slug.encode())
    for owner, other in ((organization, other_organization), (other_organization, organization)):
        with organization_scope(owner.pk):
            assert len(with_content.run(call=owner.slug.encode())) == 1
            assert with_content.run(call=other.slug.encode()) == []
