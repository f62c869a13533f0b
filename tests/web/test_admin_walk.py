"""Every admin page renders, shows amounts in dollars, and needs the same number of queries for any number of rows.

New models are covered automatically. If their constraints need certain values, add them to tests/support/rows.py.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aiinfra.readable_admin import is_amount
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import system_scope
from cost_app.models import Budget, UsageDay
from tests.support.rows import AMOUNT, make_row

APPS = ("aiinfra", "queue_app", "cache_app", "cost_app")
REGISTERED: list[type[models.Model]] = sorted(
    (model for model in admin.site._registry if model.__module__.startswith(APPS)), key=lambda model: model._meta.label
)
WRITABLE = {
    "cost_app.ModelAlias",
    "cost_app.ProviderBilling",
    "cost_app.ProviderLimit",
    "cost_app.ToolFee",
    "queue_app.QueuePolicy",
    "privacy.LegalHold",
    "tenants.Membership",
    "tenants.Organization",
    "tenants.User",
}
"""Models that staff can change. Their forms call the same functions as the pages."""
DELETABLE = {"cost_app.ProviderBilling", "cost_app.ProviderLimit"}
SECRET = re.compile(r"secret|token_digest|password|^target$|question$|answer$|^call$|^response$|^payload$|fingerprint")
NOT_SECRET = {("AuditEvent", "target"), ("User", "password")}
"""The target of an audit event, and the password, of which Django shows only the algorithm."""
HEADINGS = {"Organizations", "Queue", "Semantic cache", "Cost", "Providers", "Notifications", "Workers"}

every_table = pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def make(db: None) -> Callable[..., Any]:
    """Creates a row in a new organization, because some tables allow one row per organization."""

    def make_one(model: type[models.Model], marks: dict[str, str] | None = None) -> Any:
        number = Organization.objects.count()
        with system_scope():
            return make_row(model, Organization.objects.create(slug=f"o{number}", name=f"Company {number}"), marks)

    return make_one


def url(model: type[models.Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def pages(staff: Client, model: type[models.Model], row: Any) -> str:
    """The HTML of the list and of the row's page."""
    found = [staff.get(url(model, "changelist")), staff.get(url(model, "change", row.pk))]
    assert [page.status_code for page in found] == [200, 200]
    return "".join(page.text for page in found)


def test_registered_models_include_every_writable_one() -> None:
    assert len(REGISTERED) > 25
    assert {model._meta.label for model in REGISTERED if model._meta.label in WRITABLE} == WRITABLE


@every_table
def test_the_number_of_queries_of_a_list_does_not_depend_on_the_number_of_rows(
    model: type[models.Model], staff: Client, make: Callable[..., Any]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert staff.get(url(model, "changelist")).status_code == 200
        return len(found)

    make(model)
    queries()
    before = queries()
    for _ in range(9):
        make(model)
    assert queries() == before


@every_table
def test_search_and_filters_work(model: type[models.Model], staff: Client, make: Callable[..., Any]) -> None:
    make(model)
    model_admin = admin.site._registry[model]
    if model_admin.search_fields:
        assert staff.get(url(model, "changelist"), {"q": "deepseek"}).status_code == 200
    page = staff.get(url(model, "changelist")).text
    links = re.findall(r'<a href="(\?[^"]+)"', page)
    for link in {each.partition("=")[0]: each for each in links}.values():
        assert staff.get(url(model, "changelist") + link.replace("&amp;", "&")).status_code in {200, 302}


@every_table
def test_pages_show_dollars_and_hide_secrets_and_prompts(
    model: type[models.Model], staff: Client, make: Callable[..., Any]
) -> None:
    hidden = [
        field
        for field in model._meta.concrete_fields
        if SECRET.search(field.name)
        and isinstance(field, models.CharField | models.TextField)
        and (model.__name__, field.name) not in NOT_SECRET
    ]
    marks = {field.name: f"hush{position}" for position, field in enumerate(hidden)}
    text = pages(staff, model, make(model, marks))
    assert "hush" not in text
    assert str(AMOUNT)[:7] not in text.replace(",", "")
    if any(is_amount(field.name) for field in model._meta.concrete_fields):
        assert "$7654.32" in text.replace(",", "")


@every_table
def test_times_look_as_on_other_pages_and_name_their_zone(
    model: type[models.Model], staff: Client, make: Callable[..., Any]
) -> None:
    text = pages(staff, model, make(model))
    times = [field for field in model._meta.concrete_fields if isinstance(field, models.DateTimeField)]
    assert not re.search(r"\d (a|p)\.m\.|, (noon|midnight)\b", text)
    assert not times or re.search(r"\b[A-Z][a-z]{2} \d+, \d{4}, \d\d:\d\d UTC\b", text)


@every_table
def test_only_listed_models_can_be_changed(model: type[models.Model], staff: Client, make: Callable[..., Any]) -> None:
    row = make(model)
    deleted = staff.post(url(model, "delete", row.pk), {"post": "yes"}).status_code
    assert deleted == (302 if model._meta.label in DELETABLE else 403)
    if model._meta.label in WRITABLE:
        return
    assert staff.get(url(model, "add")).status_code == 403
    assert staff.post(url(model, "change", row.pk), {}).status_code == 403


def test_rows_of_an_api_key_show_its_name(staff: Client, make: Callable[..., Any]) -> None:
    key = make(ApiKey)
    with system_scope():
        ApiKey.objects.filter(pk=key.pk).update(name="Website key")
        for model, column in ((Budget, "scope_value"), (UsageDay, "value")):
            row = make(model)
            model._default_manager.filter(pk=row.pk).update(**{column: str(key.pk)})
            assert pages(staff, model, row).count("Website key") == 2


def test_the_index_has_readable_headings_and_the_product_name(staff: Client) -> None:
    page = staff.get(reverse("admin:index")).text
    assert "aiinfra administration" in page
    assert "css/admin.css" in page
    headings = {config.verbose_name for config in apps.get_app_configs()}
    assert headings >= HEADINGS
    for heading in HEADINGS:
        assert heading in page
    assert not re.search(r"(?i)_app\b|django_rq", re.sub(r"<[^>]+>", "", page))
