"""Approval of tool fees and aliases by a second person, because they determine costs like prices do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import AuditEvent, User
from aiinfra.tenants.scope import owner_scope
from cost_app.models import ModelAlias, ToolFee
from cost_app.prices.fees import fees_of
from cost_app.prices.lookup import ModelNotPricedError, clear_price_cache, price_of

SNAPSHOT = "gpt-4-2026-01-01"
FIELDS = {"provider": "openai", "source": "a test", "effective_from_0": "2026-01-02", "effective_from_1": "00:00:00"}
FEE = {**FIELDS, "tool": "shell", "dollars_per_use": "0.01", "model": ""}
ALIAS = {**FIELDS, "alias": SNAPSHOT, "model": "gpt-4"}
LINES = [("toolfee", ToolFee, FEE), ("modelalias", ModelAlias, ALIAS)]


@pytest.fixture
def staff(owner: User, client_of: Callable[[User], Client]) -> Client:
    """The session of a superuser."""
    owner.is_staff = owner.is_superuser = True
    owner.save()
    return client_of(owner)


@pytest.fixture
def colleague(viewer: User, client_of: Callable[[User], Client]) -> Client:
    """The session of another user with the right to approve prices."""
    viewer.is_staff = True
    viewer.save()
    names = ["approve_prices", *(f"{do}_{table}" for do in ("view", "add") for table in ("toolfee", "modelalias"))]
    viewer.user_permissions.set(Permission.objects.filter(codename__in=names))
    return client_of(viewer)


def add(client: Client, table: str, fields: dict[str, str]) -> int:
    return client.post(reverse(f"admin:cost_app_{table}_add"), fields).status_code


def decide(client: Client, table: str, action: str, row: Any) -> None:
    form = {"action": action, "_selected_action": [row.pk]}
    assert client.post(reverse(f"admin:cost_app_{table}_changelist"), form).status_code == 302
    clear_price_cache()


def is_in_book(table: str) -> bool:
    clear_price_cache()
    if table == "toolfee":
        return "shell" in fees_of("openai", "gpt-4")
    try:
        return bool(price_of("openai", SNAPSHOT))
    except ModelNotPricedError:
        return False


def verbs() -> list[tuple[str, str]]:
    with owner_scope(None):
        return list(AuditEvent.objects.filter(organization=None).order_by("at").values_list("verb", "actor"))


@pytest.mark.parametrize(("table", "model", "fields"), LINES)
def test_added_fee_or_alias_applies_once_another_user_approves_it(
    staff: Client, colleague: Client, table: str, model: Any, fields: dict[str, str]
) -> None:
    assert add(staff, table, fields) == 302
    row = model.objects.get(source="a test")
    assert (row.state, row.proposed_by, is_in_book(table)) == ("waiting", "user:owner", False)
    decide(staff, table, "approve", row)
    assert not is_in_book(table)
    decide(colleague, table, "approve", row)
    row.refresh_from_db()
    assert (row.state, row.decided_by, is_in_book(table)) == ("approved", "user:viewer", True)
    kind = table.removeprefix("model").removeprefix("tool")
    assert verbs() == [(f"{kind}.proposed", "user:owner"), (f"{kind}.approved", "user:viewer")]


@pytest.mark.parametrize(("table", "model", "fields"), LINES)
def test_users_can_withdraw_their_own_proposal(
    staff: Client, colleague: Client, table: str, model: Any, fields: dict[str, str]
) -> None:
    add(staff, table, fields)
    row = model.objects.get(source="a test")
    assert add(colleague, table, fields) == 200, "another proposal is pending"
    decide(staff, table, "reject", row)
    decide(colleague, table, "approve", row)
    assert not is_in_book(table)
    assert add(colleague, table, fields) == 302


@pytest.mark.usefixtures("colleague")
def test_ending_an_alias_requires_a_second_person(staff: Client, colleague: Client) -> None:
    row = ModelAlias.objects.create(provider="openai", alias=SNAPSHOT, model="gpt-4", source="a test", state="approved")
    decide(staff, "modelalias", "end", row)
    assert is_in_book("modelalias")
    decide(colleague, "modelalias", "approve", ModelAlias.objects.get(alias=SNAPSHOT, model=""))
    assert not is_in_book("modelalias")
