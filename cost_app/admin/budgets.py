"""Raw budget records for staff, read-only: budgets, windows, increases, holds."""

from typing import Any

from django.contrib import admin
from django.db.models import CharField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast

from aiinfra.tenants.admin import ReadOnlyAdmin
from aiinfra.tenants.models import ApiKey
from cost_app.models import (
    Budget,
    BudgetIncrease,
    BudgetScope,
    BudgetWindow,
    Hold,
)


def key_name(id_text: str) -> Subquery:
    """The name of the API key whose ID a column stores as text."""
    keys = ApiKey.objects.annotate(text=Cast("pk", CharField())).filter(text=OuterRef(id_text))
    return Subquery(keys.values("name")[:1])


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin):
    """Budgets of all organizations. Change them on the budgets page, which also updates their windows."""

    list_display = ["organization", "period", "scope", "counted", "limit_nano", "enforcement", "is_active"]
    list_filter = ["is_active", "enforcement", "period", "scope", "organization"]
    search_fields = ["scope_value", "organization__slug"]
    exclude = ["scope_value"]
    readonly_fields = ["counted"]
    ordering = ["-id"]

    def with_names(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Join the names of the API keys."""
        named: QuerySet[Any] = rows.annotate(key_name=key_name("scope_value"))
        return named

    @admin.display(description="counts")
    def counted(self, budget: Any) -> str:
        """The key's name, the user, the model or the tag."""
        return counted(budget.scope, budget.scope_value, budget.key_name)


class BudgetRecordAdmin(ReadOnlyAdmin):
    """Base for rows that belong to a budget, labeled by its period and scope."""

    list_filter = ["budget__period", "budget__scope", "organization"]
    list_select_related = ["organization", "budget"]
    search_fields = ["=budget__id", "budget__scope_value", "organization__slug"]
    ordering = ["-id"]

    def with_names(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Join the names of the API keys."""
        named: QuerySet[Any] = rows.annotate(key_name=key_name("budget__scope_value"))
        return named

    @admin.display(description="budget")
    def budget_name(self, row: Any) -> str:
        """`daily: Website key`."""
        return f"{row.budget.period}: {counted(row.budget.scope, row.budget.scope_value, row.key_name)}"


def counted(scope: str, value: str, name_of_key: str | None) -> str:
    """The budget's scope, readable."""
    if scope == BudgetScope.API_KEY:
        return name_of_key or "a deleted key"
    return value or "everything"


@admin.register(BudgetWindow)
class BudgetWindowAdmin(BudgetRecordAdmin):
    """The periods of budgets."""

    list_display = [
        "budget_name",
        "organization",
        "starts_at",
        "limit_nano",
        "committed_nano",
        "reserved_nano",
        "enforcement",
    ]


@admin.register(BudgetIncrease)
class BudgetIncreaseAdmin(BudgetRecordAdmin):
    """Temporary increases."""

    list_display = ["budget_name", "organization", "nano", "by", "reason", "expires_at", "withdrawn_at"]
    search_fields = [*BudgetRecordAdmin.search_fields, "reason", "by"]


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """The amount that each call holds or has spent in each window."""

    list_display = ["attempt", "organization", "window", "reserved_nano", "committed_nano"]
    list_filter = ["organization"]
    list_select_related = ["organization", "attempt", "window"]
    search_fields = ["=attempt__id", "=window__id", "=attempt__request_id"]
    ordering = ["-id"]
