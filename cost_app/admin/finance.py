"""Raw finance records for staff, read-only: invoices, closed months, scheduled exports."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from aiinfra.providers.admin import ProviderFilter
from aiinfra.tenants.admin import ReadOnlyAdmin
from cost_app.models import (
    ExportDelivery,
    InvoiceImport,
    InvoiceLine,
    InvoiceUpload,
    MonthClose,
)


@admin.register(InvoiceImport)
class InvoiceImportAdmin(ReadOnlyAdmin):
    """Imported usage files of all organizations."""

    list_display = ["file_name", "organization", "provider", "first_day", "last_day", "uploaded_by", "uploaded_at"]
    list_filter = [ProviderFilter, "organization"]
    date_hierarchy = "uploaded_at"
    search_fields = ["file_name", "=sha256"]
    ordering = ["-uploaded_at"]


@admin.register(InvoiceUpload)
class InvoiceUploadAdmin(ReadOnlyAdmin):
    """Large usage files that wait, or could not be read."""

    list_display = ["file_name", "organization", "provider", "size", "tries", "error", "uploaded_by", "uploaded_at"]
    list_filter = [ProviderFilter, "organization"]
    search_fields = ["file_name", "=sha256"]
    ordering = ["-uploaded_at"]
    exclude = ["content"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the files."""
        return super().get_queryset(request).defer("content")


@admin.register(InvoiceLine)
class InvoiceLineAdmin(ReadOnlyAdmin):
    """The lines of the files, with their differences from the ledger."""

    list_display = ["day", "organization", "model", "token_class", "invoice_nano", "ledger_nano", "likely_cause"]
    list_filter = ["token_class", "organization"]
    list_select_related = ["organization", "invoice"]
    search_fields = ["=invoice__id", "model", "invoice__file_name"]
    ordering = ["-id"]


@admin.register(MonthClose)
class MonthCloseAdmin(ReadOnlyAdmin):
    """Closed months of all organizations."""

    list_display = ["first_day", "organization", "closed_by", "closed_at"]
    list_filter = ["organization"]
    search_fields = ["closed_by", "organization__slug"]
    date_hierarchy = "first_day"
    ordering = ["-first_day"]


@admin.register(ExportDelivery)
class ExportDeliveryAdmin(ReadOnlyAdmin):
    """Scheduled exports of all organizations."""

    list_display = ["kind", "first_day", "organization", "delivered_at", "size", "error"]
    list_filter = ["kind", "organization"]
    search_fields = ["error", "organization__slug"]
    date_hierarchy = "first_day"
    ordering = ["-first_day", "kind"]
