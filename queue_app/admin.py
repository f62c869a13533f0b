"""Raw queue records for staff. Day-to-day work happens on the product's own pages."""

from typing import Any

from django.contrib import admin
from django.db import models, transaction
from django.forms import ModelForm
from django.http import HttpRequest

from aiinfra.providers.admin import ProviderFilter
from aiinfra.readable_admin import ReadableAdmin
from aiinfra.tenants.admin import ReadOnlyAdmin, TenantAdmin
from aiinfra.tenants.audit import user_actor
from cost_app.facade import ProviderLimit
from queue_app import control
from queue_app.models import AIRequest, ArchivedMonth, Priority, QueuePolicy
from queue_app.ordering import provider_limits
from queue_app.pages.forms import ProviderLimitForm


@admin.register(AIRequest)
class AIRequestAdmin(ReadOnlyAdmin):
    """Requests of all organizations, without prompts and answers."""

    list_display = [
        "id",
        "organization",
        "api_key",
        "status",
        "priority",
        "provider",
        "model",
        "created_at",
        "error_code",
    ]
    list_filter = ["status", "priority", ProviderFilter, "cached", "created_at", "organization"]
    list_select_related = ["organization", "api_key"]
    search_fields = [
        "=id",
        "=user_ref",
        "=conversation_id",
        "=idempotency_key",
        "=model",
        "=error_code",
        "=api_key__key_id",
    ]
    ordering = ["-created_at"]
    exclude = ["fingerprint", "webhook"]


@admin.register(ArchivedMonth)
class ArchivedMonthAdmin(ReadOnlyAdmin):
    """Months whose requests are in files."""

    list_display = ["organization", "name", "requests", "archived_at", "directory"]
    list_filter = ["organization"]
    list_select_related = ["organization"]
    ordering = ["-first_day", "organization"]


@admin.register(QueuePolicy)
class QueuePolicyAdmin(TenantAdmin):
    """Shares and limits. Priorities are paused on the queue's page; an organization without a row gets the defaults."""

    list_display = ["organization", "weight", "max_in_flight", "depth_limit", "paused"]
    search_fields = ["organization__slug", "organization__name"]
    autocomplete_fields = ["organization"]
    exclude = ["paused_priorities"]
    readonly_fields = ["paused"]

    @admin.display(description="paused priorities")
    def paused(self, policy: QueuePolicy) -> str:
        """Names of the paused priorities."""
        return ", ".join(Priority(weight).label for weight in policy.paused_priorities) or "none"

    def save_model(self, request: HttpRequest, obj: models.Model, form: "ModelForm[Any]", change: bool) -> None:
        """Save. The policy applies from the next claim."""
        super().save_model(request, obj, form, change)
        transaction.on_commit(lambda: control.announce_policy(obj))  # type: ignore[arg-type]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Policies are never deleted: reset them to the defaults instead, so that the workers pick up the change."""
        return False


@admin.register(ProviderLimit)
class ProviderLimitAdmin(ReadableAdmin):
    """Calls per minute that providers accept, across all organizations. Here because the queue enforces them."""

    form = ProviderLimitForm
    list_display = ["provider", "model", "requests_per_minute", "expected_latency_ms", "changed_by"]
    list_filter = ["provider"]
    search_fields = ["provider", "model"]
    ordering = ["provider", "model"]
    readonly_fields = ["changed_by"]

    def save_model(self, request: HttpRequest, obj: models.Model, form: "ModelForm[Any]", change: bool) -> None:
        """Save. The limit applies from the next claim."""
        obj.changed_by = user_actor(request.user)  # type: ignore[attr-defined, arg-type]
        super().save_model(request, obj, form, change)
        transaction.on_commit(provider_limits.announce_limits)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """Delete. The limit no longer applies from the next claim."""
        super().delete_model(request, obj)
        transaction.on_commit(provider_limits.announce_limits)

    def delete_queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> None:
        """Delete several limits, as `delete_model` deletes one."""
        super().delete_queryset(request, queryset)
        transaction.on_commit(provider_limits.announce_limits)
