"""Raw records of alerts, spending rules and fallback chains for staff, read-only."""

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
    """Spending rules of all organizations. Each organization changes its own on its settings page."""

    list_display = ["organization", "unpriced_models", "bound_mode", "month_starts_on", "usage_time_zone"]
    list_select_related = ["organization"]


@admin.register(FallbackRoute)
class FallbackRouteAdmin(ReadOnlyAdmin):
    """Custom fallback chains. Change them on the routes page, which validates them."""

    list_display = ["organization", "provider", "model", "position", "to_provider", "to_model"]
    list_filter = [ProviderFilter, "organization"]
    search_fields = ["organization__slug", "model", "to_model"]
    ordering = ["organization", "provider", "model", "position"]


@admin.register(FallbackOptOut)
class FallbackOptOutAdmin(ReadOnlyAdmin):
    """Opt-outs from default fallback chains, for one model or, without a model, for all."""

    list_display = ["organization", "provider", "model"]
    list_filter = ["organization"]
    search_fields = ["organization__slug", "model"]
