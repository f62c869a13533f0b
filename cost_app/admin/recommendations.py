"""Raw recommendation records for staff, read-only."""

from django.contrib import admin

from aiinfra.tenants.admin import ReadOnlyAdmin
from cost_app.models import (
    OptimizationRule,
    Recommendation,
)


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnlyAdmin):
    """Recommendations of all organizations."""

    list_display = ["title", "organization", "kind", "state", "monthly_nano", "confidence", "computed_at"]
    date_hierarchy = "computed_at"
    list_filter = ["state", "kind", "confidence", "organization"]
    search_fields = ["title", "subject"]
    ordering = ["-computed_at"]


@admin.register(OptimizationRule)
class OptimizationRuleAdmin(ReadOnlyAdmin):
    """Rules created by applied recommendations."""

    list_display = [
        "recommendation",
        "organization",
        "kind",
        "starts_at",
        "ended_at",
        "changed_requests",
        "saved_nano",
    ]
    list_filter = ["kind", ("ended_at", admin.EmptyFieldListFilter), "organization"]
    list_select_related = ["organization", "recommendation"]
    search_fields = ["recommendation__title", "by"]
    ordering = ["-starts_at"]
