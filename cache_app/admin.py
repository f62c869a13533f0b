"""Raw records of the cache for staff; what people do every day is on the product's own pages."""

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from aiinfra.tenants.admin import ReadOnlyAdmin, TenantAdmin
from cache_app.models import CacheCount, CacheHit, CachePolicy, JudgedPair, ThresholdProposal


@admin.register(CacheHit)
class CacheHitAdmin(ReadOnlyAdmin):
    """Hits of all organizations, without questions and answers."""

    list_display = ["id", "organization", "at", "layer", "similarity", "rule", "model", "judgement", "judged_by"]
    list_filter = ["layer", "judgement", "judged_by", "shadow", "organization"]
    search_fields = ["=id", "=entry_id"]
    ordering = ["-at"]
    exclude = ["question", "cached_question", "answer", "fresh_answer"]


@admin.register(JudgedPair)
class JudgedPairAdmin(ReadOnlyAdmin):
    """What was judged, by ids alone."""

    list_display = ["id", "organization", "at", "similarity", "is_right", "judged_by", "embedder"]
    list_filter = ["is_right", "judged_by", "organization"]
    search_fields = ["=entry_id", "=question_id"]
    ordering = ["-at"]


@admin.register(ThresholdProposal)
class ThresholdProposalAdmin(ReadOnlyAdmin):
    """What was proposed, and what became of it."""

    list_display = ["id", "organization", "at", "state", "threshold", "before", "pairs", "wrong", "decided_by"]
    list_filter = ["state", "organization"]
    ordering = ["-at"]


@admin.register(CacheCount)
class CacheCountAdmin(ReadOnlyAdmin):
    """Counts by hour and day."""

    list_display = ["organization", "span", "starts_at", "name", "count"]
    list_filter = ["span", "organization"]
    search_fields = ["name"]
    ordering = ["-starts_at", "name"]


@admin.register(CachePolicy)
class CachePolicyAdmin(TenantAdmin):
    """The organizations' rules; without a row the defaults hold."""

    list_display = ["organization", "mode", "threshold", "ttl_hours", "max_entries", "shared_with"]
    list_filter = ["mode"]
    search_fields = ["organization__slug", "organization__name"]
    autocomplete_fields = ["organization"]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Nobody deletes: set the defaults instead, so that the log tells what held before."""
        return False
