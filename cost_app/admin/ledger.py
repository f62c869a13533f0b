"""Raw ledger records for staff, read-only: calls, entries, daily rollups."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet

from aiinfra.providers.admin import ProviderFilter
from aiinfra.tenants.admin import ReadOnlyAdmin
from cost_app.admin.budgets import key_name
from cost_app.models import (
    Attempt,
    Dimension,
    LedgerEntry,
    UsageDay,
)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Provider calls of all organizations."""

    list_display = [
        "created_at",
        "organization",
        "api_key",
        "provider",
        "model",
        "state",
        "tier",
        "cost_nano",
        "reported_nano",
        "bound_nano",
        "usage_issue",
        "error_code",
    ]
    list_filter = ["state", "usage_issue", ProviderFilter, "request_class", "created_at", "organization"]
    list_select_related = ["organization", "api_key"]
    search_fields = ["=id", "=request_id", "=user_ref", "=external_id", "=model", "=error_code", "=api_key__key_id"]
    ordering = ["-created_at"]


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """The ledger of all organizations."""

    list_display = [
        "at",
        "organization",
        "api_key",
        "kind",
        "provider",
        "model",
        "nano",
        "reported_nano",
        "saved_nano",
        "estimated",
        "note",
    ]
    list_filter = ["kind", "estimated", ProviderFilter, "at", "organization"]
    list_select_related = ["organization", "api_key"]
    search_fields = ["=request_id", "=attempt__id", "=user_ref", "=model", "=api_key__key_id"]
    ordering = ["-id"]


@admin.register(UsageDay)
class UsageDayAdmin(ReadOnlyAdmin):
    """Daily rollups of all organizations. `manage.py rebuild_rollups` recomputes them."""

    list_display = ["day", "organization", "dimension", "named", "nano", "calls", "errors", "cache_hits"]
    list_filter = ["dimension", "day", "organization"]
    search_fields = ["=value"]
    exclude = ["value"]
    readonly_fields = ["named"]
    ordering = ["-day", "dimension", "value"]

    def with_names(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Join the names of the API keys."""
        named: QuerySet[Any] = rows.annotate(key_name=key_name("value"))
        return named

    @admin.display(description="value", ordering="value")
    def named(self, row: Any) -> str:
        """The key's name, or the value itself."""
        return str(row.key_name or row.value) if row.dimension == Dimension.API_KEY else str(row.value)
