"""Raw records of files and batches for staff, read-only and without their content."""

from django.contrib import admin

from aiinfra.batches.models import Batch, StoredFile
from aiinfra.tenants.admin import ReadOnlyAdmin


@admin.register(StoredFile)
class StoredFileAdmin(ReadOnlyAdmin):
    """Files of all organizations."""

    list_display = ["id", "organization", "purpose", "name", "size", "lines", "created_at"]
    list_filter = ["purpose", "organization"]
    search_fields = ["=id", "name"]
    ordering = ["-created_at"]


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Batches of all organizations."""

    list_display = [
        "id",
        "organization",
        "status",
        "endpoint",
        "total",
        "completed",
        "failed",
        "cost_nano",
        "created_at",
    ]
    list_filter = ["status", "endpoint", "organization"]
    search_fields = ["=id"]
    ordering = ["-created_at"]
