"""The raw records of the cache, for staff."""

from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.models import CacheHit, CachePolicy
from tests.cache_app.learning.made import make_hit, make_pairs
from tests.cache_app.pages.support import counted, make_proposal

TABLES = ["cachehit", "judgedpair", "thresholdproposal", "cachecount", "cachepolicy"]
READ_ONLY = TABLES[:-1]
by_table = pytest.mark.parametrize("table", TABLES)


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    """A browser of somebody who may open the raw records and belongs to no organization."""
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def rows(organization: Organization) -> CacheHit:
    """One row in each table, and one of a secret hit."""
    with organization_scope(organization.pk):
        CachePolicy.objects.create(organization=organization)
        make_pairs(organization, 1, 0.9)
    counted(organization, {"look": 1})
    make_proposal(organization)
    texts = ("question", "cached_question", "answer", "fresh_answer")
    return make_hit(organization, **{name: f"a secret {name}" for name in texts})


def first_of(table: str) -> Any:
    with system_scope():
        return apps.get_model("cache_app", table).objects.get()


@by_table
def test_staff_see_the_rows_of_every_organization(table: str, rows: CacheHit, staff: Client) -> None:
    assert "North Ltd" in staff.get(reverse(f"admin:cache_app_{table}_changelist")).text
    change = reverse(f"admin:cache_app_{table}_change", args=[first_of(table).pk])
    assert staff.get(change).status_code == 200


def test_no_raw_record_holds_a_question_or_an_answer(rows: CacheHit, staff: Client) -> None:
    for url in (
        reverse("admin:cache_app_cachehit_changelist"),
        reverse("admin:cache_app_cachehit_change", args=[rows.pk]),
    ):
        assert "a secret" not in staff.get(url).text


@pytest.mark.parametrize("table", READ_ONLY)
def test_what_happened_is_only_read(table: str, rows: CacheHit, staff: Client) -> None:
    pk = first_of(table).pk
    assert staff.get(reverse(f"admin:cache_app_{table}_add")).status_code == 403
    for action in ("change", "delete"):
        url = reverse(f"admin:cache_app_{table}_{action}", args=[pk])
        assert staff.post(url, {"post": "yes"}).status_code == 403
    assert first_of(table).pk == pk


def test_rules_are_changed_but_not_deleted_and_that_is_audited(
    organization: Organization, rows: CacheHit, staff: Client
) -> None:
    policy = first_of("cachepolicy")
    url = reverse("admin:cache_app_cachepolicy_change", args=[policy.pk])
    form = staff.get(url).context["adminform"].form
    values = {name: "" if value is None else value for name, value in form.initial.items()}
    response = staff.post(url, {**values, "ttl_hours": 48})
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert first_of("cachepolicy").ttl_hours == 48
    with organization_scope(organization.pk):
        assert AuditEvent.objects.get().actor == "user:staff"
    delete = reverse("admin:cache_app_cachepolicy_delete", args=[policy.pk])
    assert staff.post(delete, {"post": "yes"}).status_code == 403


@by_table
def test_people_of_an_organization_have_no_raw_records(table: str, rows: CacheHit, manager: Client) -> None:
    assert manager.get(reverse(f"admin:cache_app_{table}_changelist")).status_code == 302
