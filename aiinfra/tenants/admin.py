"""Raw records for staff. Day-to-day changes belong on the product's own pages."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from aiinfra.tenants import audit
from aiinfra.tenants.models import ApiKey, AuditEvent, Invitation, Membership, Organization, User
from aiinfra.tenants.scope import system_scope

AdminView = Callable[..., HttpResponse]

admin.site.register(User, UserAdmin)


class TenantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Base for the tables of tenants: staff sees all organizations; every change leaves an audit row."""

    show_full_result_count = False
    list_select_related = ["organization"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows of all organizations."""
        with system_scope():
            return super().get_queryset(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Rendered at once, because filters and labels query too."""
        with system_scope():
            return _rendered(super().changelist_view(request, extra_context))

    def changeform_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same for the form, whose fields offer related rows."""
        with system_scope():
            return _rendered(super().changeform_view(*args, **kwargs))

    def delete_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same for deletion, which looks for dependent rows."""
        with system_scope():
            return _rendered(super().delete_view(*args, **kwargs))

    def history_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same for the history."""
        with system_scope():
            return _rendered(super().history_view(*args, **kwargs))

    def save_model(self, request: HttpRequest, obj: models.Model, form: "ModelForm[Any]", change: bool) -> None:
        """Save and record which fields changed."""
        super().save_model(request, obj, form, change)
        changes = {name: [str(form.initial.get(name, "")), str(getattr(obj, name, ""))] for name in form.changed_data}
        self._record(request, obj, "changed" if change else "created", changes)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """Record, then delete."""
        self._record(request, obj, "deleted", {})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """One by one, so that each leaves its row."""
        for row in queryset:
            self.delete_model(request, row)

    def _record(self, request: HttpRequest, obj: models.Model, done: str, changes: dict[str, Any]) -> None:
        audit.record(
            organization_id=obj.pk if isinstance(obj, Organization) else obj.organization_id,  # type: ignore[attr-defined]
            actor=audit.user_actor(request.user),  # type: ignore[arg-type]
            verb=f"{self.opts.model_name}.{done}",
            target=str(obj)[:200],
            changes=changes,
        )


class ReadOnlyAdmin(TenantAdmin):
    """For tables that only the program writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Nobody deletes."""
        return False


@admin.register(Organization)
class OrganizationAdmin(TenantAdmin):
    """Organizations; one that has rows cannot be deleted."""

    list_display = ["slug", "name", "time_zone", "currency", "is_demo", "created_at"]
    list_filter = ["is_demo"]
    list_select_related = []
    search_fields = ["slug", "name"]


@admin.register(Membership)
class MembershipAdmin(TenantAdmin):
    """Who belongs where; this is how a new organization gets its first owner."""

    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__username", "organization__slug"]
    autocomplete_fields = ["user", "organization"]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys, without their digests."""

    list_display = ["key_id", "name", "organization", "role", "created_at", "last_used_at", "expires_at", "revoked_at"]
    search_fields = ["key_id", "name", "organization__slug"]
    exclude = ["secret_digest"]


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations, without their tokens' digests."""

    list_display = ["email", "organization", "role", "created_at", "expires_at", "accepted_at"]
    search_fields = ["email", "organization__slug"]
    exclude = ["token_digest"]


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """The audit log of all organizations."""

    list_display = ["at", "organization", "actor", "verb", "target"]
    search_fields = ["actor", "verb", "target", "request_id"]
    ordering = ["-at"]


def _rendered(response: HttpResponse) -> HttpResponse:
    render = getattr(response, "render", None)
    return render() if render else response
