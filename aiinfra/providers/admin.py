"""A provider filter for the admin's raw records."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from aiinfra.providers.registry import provider_names


class ProviderFilter(admin.SimpleListFilter):
    """The configured providers; Django's own filter would read every row to find them."""

    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: "admin.ModelAdmin[Any]") -> list[tuple[str, str]]:  # noqa: ARG002
        """The provider names."""
        return [(name, name) for name in provider_names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """The rows of the selected provider."""
        return queryset.filter(provider=self.value()) if self.value() else queryset
