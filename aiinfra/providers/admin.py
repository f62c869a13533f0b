"""Fallback chains, for staff."""

from django.contrib import admin

from aiinfra.providers.models import FallbackRoute
from aiinfra.tenants.admin import TenantAdmin


@admin.register(FallbackRoute)
class FallbackRouteAdmin(TenantAdmin):
    """What is tried next when a model fails; it holds from the next failure on."""

    list_display = ["organization", "provider", "model", "position", "to_provider", "to_model"]
    list_filter = ["provider", "organization"]
    search_fields = ["organization__slug", "model", "to_model"]
    autocomplete_fields = ["organization"]
    ordering = ["organization", "provider", "model", "position"]
