"""Alerts, spending rules and fallback routes, for staff to read."""

from django.contrib import admin

from aiinfra.providers.admin import ProviderFilter
from aiinfra.providers.models import FallbackOptOut, FallbackRoute
from aiinfra.tenants.admin import ReadOnlyAdmin
from cost_app.models import (
    Alert,
    CostPolicy,
)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts of all organizations."""

    list_display = ["message", "organization", "kind", "severity", "state", "opened_at", "resolved_at"]
    list_filter = ["kind", "severity", "state", "opened_at", "organization"]
    search_fields = ["message", "cause", "acknowledged_by", "resolved_by"]
    ordering = ["-id"]


@admin.register(CostPolicy)
class CostPolicyAdmin(ReadOnlyAdmin):
    """The rules of all organizations; they are changed on the page of each."""

    list_display = ["organization", "unpriced_models", "bound_mode", "month_starts_on", "usage_time_zone"]
    list_select_related = ["organization"]


@admin.register(FallbackRoute)
class FallbackRouteAdmin(ReadOnlyAdmin):
    """Custom fallback chains; they are changed on the page of routes, which checks them."""

    list_display = ["organization", "provider", "model", "position", "to_provider", "to_model"]
    list_filter = [ProviderFilter, "organization"]
    search_fields = ["organization__slug", "model", "to_model"]
    ordering = ["organization", "provider", "model", "position"]


@admin.register(FallbackOptOut)
class FallbackOptOutAdmin(ReadOnlyAdmin):
    """Where the default fallback chains are off: for a model, or without a model for the whole organization."""

    list_display = ["organization", "provider", "model"]
    list_filter = ["organization"]
    search_fields = ["organization__slug", "model"]
