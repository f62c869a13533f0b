"""Raw cache records for staff. Day-to-day work happens on the product's own pages."""

from django.contrib import admin

from aiinfra.providers.admin import ProviderFilter
from aiinfra.tenants.admin import ReadOnlyAdmin
from cache_app.models import CacheCount, CacheHit, CachePolicy, JudgedPair, ThresholdProposal


@admin.register(CacheHit)
class CacheHitAdmin(ReadOnlyAdmin):
    """Hits of all organizations, without questions and answers."""

    list_display = [
        "at",
        "organization",
        "layer",
        "similarity",
        "rule",
        "model",
        "saved_nano",
        "judgement",
        "judged_by",
    ]
    list_filter = ["layer", "judgement", "judged_by", "shadow", ProviderFilter, "at", "organization"]
    search_fields = ["=id", "=entry_id", "=user_ref", "=model"]
    ordering = ["-at"]
    exclude = ["question", "cached_question", "answer", "fresh_answer"]


@admin.register(JudgedPair)
class JudgedPairAdmin(ReadOnlyAdmin):
    """Judgments, by ID only."""

    list_display = ["at", "organization", "similarity", "is_right", "judged_by", "embedder"]
    list_filter = ["is_right", "judged_by", "organization"]
    search_fields = ["=entry_id", "=question_id"]
    ordering = ["-at"]


@admin.register(ThresholdProposal)
class ThresholdProposalAdmin(ReadOnlyAdmin):
    """Proposed thresholds and their status."""

    list_display = ["at", "organization", "state", "threshold", "before", "pairs", "wrong", "decided_by"]
    list_filter = ["state", "organization"]
    search_fields = ["decided_by", "organization__slug"]
    ordering = ["-at"]


@admin.register(CacheCount)
class CacheCountAdmin(ReadOnlyAdmin):
    """Counts by hour and day."""

    list_display = ["organization", "span", "starts_at", "name", "count"]
    list_filter = ["span", "starts_at", "organization"]
    search_fields = ["name"]
    ordering = ["-starts_at", "name"]


@admin.register(CachePolicy)
class CachePolicyAdmin(ReadOnlyAdmin):
    """The organizations' settings, read-only: each organization changes its own on its settings page."""

    list_display = ["organization", "mode", "threshold", "ttl_hours", "max_entries", "shared_with", "reask_day_nano"]
    list_filter = ["mode", "shared_with"]
    search_fields = ["organization__slug", "organization__name"]
