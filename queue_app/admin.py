"""Raw records of the queue for staff; what people do every day is on the product's own pages."""

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
from queue_app.models import AIRequest, Priority, QueuePolicy
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
    exclude = ["fingerprint"]


@admin.register(QueuePolicy)
class QueuePolicyAdmin(TenantAdmin):
    """Shares and limits. Priorities are paused on the queue's page; without a row the defaults hold."""

    list_display = ["organization", "weight", "max_in_flight", "depth_limit", "paused"]
    search_fields = ["organization__slug", "organization__name"]
    autocomplete_fields = ["organization"]
    exclude = ["paused_priorities"]
    readonly_fields = ["paused"]

    @admin.display(description="paused priorities")
    def paused(self, policy: QueuePolicy) -> str:
        """By name."""
        return ", ".join(Priority(weight).label for weight in policy.paused_priorities) or "none"

    def save_model(self, request: HttpRequest, obj: models.Model, form: "ModelForm[Any]", change: bool) -> None:
        """Save, and let it hold from the next claim on."""
        super().save_model(request, obj, form, change)
        transaction.on_commit(lambda: control.announce_policy(obj))  # type: ignore[arg-type]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Nobody deletes: set the defaults instead, so that the workers learn of it."""
        return False


@admin.register(ProviderLimit)
class ProviderLimitAdmin(ReadableAdmin):
    """Calls a minute that providers take, for all organizations. Here because the queue keeps to them."""

    form = ProviderLimitForm
    list_display = ["provider", "model", "requests_per_minute", "expected_latency_ms", "changed_by"]
    list_filter = ["provider"]
    search_fields = ["provider", "model"]
    ordering = ["provider", "model"]
    readonly_fields = ["changed_by"]

    def save_model(self, request: HttpRequest, obj: models.Model, form: "ModelForm[Any]", change: bool) -> None:
        """Save, and make it hold from the next claim on."""
        obj.changed_by = user_actor(request.user)  # type: ignore[attr-defined, arg-type]
        super().save_model(request, obj, form, change)
        transaction.on_commit(provider_limits.announce_limits)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """Delete, and let it hold no longer."""
        super().delete_model(request, obj)
        transaction.on_commit(provider_limits.announce_limits)

    def delete_queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> None:
        """The same for several."""
        super().delete_queryset(request, queryset)
        transaction.on_commit(provider_limits.announce_limits)
