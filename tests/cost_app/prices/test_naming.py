"""Aliases and tool fees: adding, approving, and the immutability of decisions."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aiinfra.tenants.models import AuditEvent, User
from aiinfra.tenants.scope import owner_scope
from cost_app.models import ModelAlias, ToolFee
from cost_app.prices.fees import fees_of
from cost_app.prices.lookup import ModelNotPricedError, clear_price_cache, price_of

SNAPSHOT = "gpt-4-2026-01-01"


@pytest.fixture
def staff(owner: User, client_of: Callable[[User], Client]) -> Client:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    return client_of(owner)


def add(client: Client, table: str, **fields: str) -> int:
    begin = timezone.now() - timedelta(days=1)
    form = {
        "provider": "openai",
        "source": "a test",
        "effective_from_0": f"{begin:%Y-%m-%d}",
        "effective_from_1": f"{begin:%H:%M:%S}",
        **fields,
    }
    return client.post(reverse(f"admin:cost_app_{table}_add"), form).status_code


def verbs() -> list[str]:
    with owner_scope(None):
        return sorted(AuditEvent.objects.filter(organization=None).values_list("verb", flat=True))


def decide(client: Client, action: str) -> None:
    rows = list(ModelAlias.objects.filter(alias=SNAPSHOT, model="gpt-4").values_list("pk", flat=True))
    form = {"action": action, "_selected_action": rows}
    assert client.post(reverse("admin:cost_app_modelalias_changelist"), form).status_code == 302
    clear_price_cache()


def test_staff_can_add_and_end_an_alias(staff: Client) -> None:
    assert add(staff, "modelalias", alias=SNAPSHOT, model="gpt-4") == 302
    clear_price_cache()
    assert price_of("openai", SNAPSHOT).model == "gpt-4"
    decide(staff, "end")
    with pytest.raises(ModelNotPricedError):
        price_of("openai", SNAPSHOT)
    assert price_of("openai", SNAPSHOT, at=timezone.now() - timedelta(hours=1)).model == "gpt-4"
    assert verbs() == ["alias.added", "alias.ended"]


@pytest.mark.parametrize(("action", "state"), [("approve", "approved"), ("reject", "rejected")])
def test_an_alias_is_decided_once(staff: Client, action: str, state: str) -> None:
    row = ModelAlias.objects.create(provider="openai", alias=SNAPSHOT, model="gpt-4", source="a test")
    for each in (action, "approve", "reject"):
        decide(staff, each)
    row.refresh_from_db()
    assert (row.state, row.decided_by[:5]) == (state, "user:")
    assert verbs() == [f"alias.{state}"]


@pytest.mark.parametrize(
    "fields",
    [
        {"alias": SNAPSHOT, "model": "gpt-44"},
        {"alias": "gpt-3.5-turbo", "model": "gpt-4"},
        {"alias": SNAPSHOT, "model": ""},
        {"alias": SNAPSHOT, "model": "gpt-4", "provider": "openia"},
    ],
    ids=["unpriced model", "priced name", "no alias to end", "unknown provider"],
)
def test_alias_without_effect_is_rejected(staff: Client, fields: dict[str, str]) -> None:
    assert add(staff, "modelalias", **fields) == 200
    assert not ModelAlias.objects.filter(source="a test").exists()


@pytest.mark.parametrize(
    ("fields", "nano"),
    [
        ({}, 12_500_001),
        ({"model": "gpt-4"}, 12_500_001),
        ({"model": "gpt-44"}, None),
        ({"provider": "openia"}, None),
        ({"dollars_per_use": "-1"}, None),
    ],
)
def test_staff_can_add_a_fee_in_dollars(staff: Client, fields: dict[str, str], nano: int | None) -> None:
    status = add(staff, "toolfee", **{"tool": "shell", "dollars_per_use": "0.012500001", "model": "", **fields})
    clear_price_cache()
    assert (status, fees_of("openai", "gpt-4").get("shell")) == (302 if nano else 200, nano)
    assert verbs() == (["fee.added"] if nano else [])


@pytest.mark.parametrize("table", ["toolfee", "modelalias"])
def test_admin_shows_the_price_book_read_only(staff: Client, table: str) -> None:
    row = {"toolfee": ToolFee, "modelalias": ModelAlias}[table].objects.first()
    assert row
    assert staff.get(reverse(f"admin:cost_app_{table}_changelist")).status_code == 200
    page = reverse(f"admin:cost_app_{table}_change", args=[row.pk])
    assert row.source in staff.get(page).text
    assert staff.post(page, {"source": "other"}).status_code == 403
    assert staff.post(reverse(f"admin:cost_app_{table}_delete", args=[row.pk])).status_code == 403


@pytest.mark.parametrize("state", ["approved", "rejected"])
def test_database_rejects_changes_of_decided_aliases(db: None, state: str) -> None:
    rows = ModelAlias.objects.filter(alias=SNAPSHOT)
    ModelAlias.objects.create(provider="openai", alias=SNAPSHOT, model="gpt-3.5-turbo", source="a test")
    assert rows.update(model="gpt-4", state=state) == 1
    for change in (lambda: rows.update(model="gpt-3.5-turbo"), lambda: rows.update(state="waiting"), rows.delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert list(rows.values_list("model", "state")) == [("gpt-4", state)]
