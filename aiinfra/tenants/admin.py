"""Raw records for staff. Day-to-day changes belong on the product's own pages."""

from collections.abc import Sequence
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from aiinfra.edit_forms import RecordForm
from aiinfra.readable_admin import LoggedAdmin, NoWritesMixin, ReadableAdmin
from aiinfra.tenants import audit
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import add_member
from aiinfra.tenants.models import ApiKey, AuditEvent, Invitation, Membership, Organization, User
from aiinfra.tenants.organizations import EDITABLE, create_organization, update_organization
from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record
from aiinfra.tenants.staff import StaffRight, has_right

# People manage how they log in themselves; raw records of it would show what only they may see.
for _model in (EmailAddress, Authenticator):
    admin.site.unregister(_model)

admin.site.site_header = admin.site.site_title = "aiinfra administration"
admin.site.index_title = "Raw records"


class TenantAdmin(ReadableAdmin):
    """Base for tenant tables: staff see all organizations, and every change writes an audit event."""

    list_select_related = ["organization"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows of all organizations."""
        with system_scope():
            return self.with_names(super().get_queryset(request))

    def with_names(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Add what a list needs besides its columns; runs in the scope of all organizations."""
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Render at once, because filters and labels run queries too."""
        with system_scope():
            return _rendered(super().changelist_view(request, extra_context))

    def changeform_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Render at once: the form's fields offer related rows."""
        with system_scope():
            return _rendered(super().changeform_view(*args, **kwargs))

    def delete_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Render at once: deletion looks for dependent rows."""
        with system_scope():
            return _rendered(super().delete_view(*args, **kwargs))

    def history_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Render at once: the history runs queries too."""
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
        """Delete one row at a time, so that each writes its audit event."""
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


class ReadOnlyAdmin(NoWritesMixin, TenantAdmin):
    """For tables that only the program writes."""


class OrganizationsAdmin(TenantAdmin):
    """Base for tables that need a right besides Django's: whoever adds members can make themselves an owner."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Staff who may add members anywhere."""
        return super().has_add_permission(request) and has_right(request.user, StaffRight.ADD_MEMBERS)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Staff who may add members anywhere."""
        return super().has_change_permission(request, obj) and has_right(request.user, StaffRight.ADD_MEMBERS)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False


class PersonForm(RecordForm, UserChangeForm):  # type: ignore[type-arg]  # not generic at run time
    """Django's form, but it refuses to overwrite another person's change."""


class PowersAdmin(LoggedAdmin):
    """Base for tables that grant rights over the installation: only superusers change those, and each change is in the
    security log.
    """

    powers: Sequence[str] = ()

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Nobody but a superuser grants rights."""
        fields = list(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else [*fields, *self.powers]

    def save_related(self, request: HttpRequest, form: "ModelForm[Any]", formsets: Any, change: bool) -> None:
        """Save, and record which rights were changed."""
        super().save_related(request, form, formsets, change)
        changed = [name for name in form.changed_data if name in self.powers]
        if changed:
            details = {name: [_words(form.initial.get(name)), _words(form.cleaned_data[name])] for name in changed}
            actor = audit.user_actor(request.user)  # type: ignore[arg-type]
            record(Event.STAFF_CHANGED, actor=actor, target=str(form.instance), details=details)


admin.site.unregister(Group)


@admin.register(Group)
class RightsGroupAdmin(PowersAdmin, GroupAdmin):
    """Groups of rights, for superusers."""

    powers = ["permissions"]

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Superusers only: whoever changes a group changes their own rights."""
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers only."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Superusers only."""
        return bool(request.user.is_superuser)


@admin.register(User)
class PersonAdmin(PowersAdmin, UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """People. Deactivate an account instead of deleting it, so that its keys and audit events remain."""

    powers = ["is_staff", "is_superuser", "groups", "user_permissions"]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Staff keep their names, by which the logs and the price book know who proposed something."""
        fields = super().get_readonly_fields(request, obj)
        is_named = isinstance(obj, User) and obj.is_staff and not request.user.is_superuser
        return [*fields, "username"] if is_named else fields

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Staff change no other staff: a new password or address would give them the rights of the other person, who
        may be the second one that must approve their prices.
        """
        has_rights = isinstance(obj, User) and (obj.is_staff or obj.is_superuser) and obj != request.user
        return (request.user.is_superuser or not has_rights) and super().has_change_permission(request, obj)

    form = PersonForm
    list_display = ["username", "email", "is_active", "is_staff", "last_login", "date_joined"]
    list_filter = ["is_active", "is_staff", "is_superuser"]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never: deleting would skip the rules for leaving an organization."""
        return False


@admin.register(Organization)
class OrganizationAdmin(OrganizationsAdmin):
    """Organizations; created and changed by the same functions as everywhere else, never deleted."""

    list_display = ["slug", "name", "time_zone", "is_demo", "created_at"]
    list_filter = ["is_demo"]
    list_select_related = []
    search_fields = ["slug", "name"]
    fields = ["slug", *EDITABLE, "is_demo", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:  # noqa: ARG002
        """The slug is part of addresses and API requests, so it cannot change."""
        return ["created_at"] if obj is None else ["slug", "is_demo", "created_at"]

    def save_model(self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool) -> None:
        """Create or change it the way the page and the command do."""
        actor = audit.user_actor(request.user)  # type: ignore[arg-type]
        values = {name: form.cleaned_data[name] for name in EDITABLE}
        if not change:
            made = create_organization(
                slug=obj.slug,
                name=values["name"],
                time_zone=values["time_zone"],
                is_demo=form.cleaned_data["is_demo"],
                actor=actor,
            )
            obj.pk, obj._state.adding = made.pk, False
        update_organization(organization=obj, **values, actor=actor)


@admin.register(Membership)
class MembershipAdmin(OrganizationsAdmin):
    """Who belongs to which organization; this is how a new organization gets its first owner.

    Change roles and remove members on the organization's members page, which also ends their keys.
    """

    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role", "organization"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__username", "organization__slug"]
    autocomplete_fields = ["user", "organization"]
    readonly_fields = ["created_at"]

    def save_model(self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool) -> None:  # noqa: ARG002
        """Add the member the way the page does."""
        actor = audit.user_actor(request.user)  # type: ignore[arg-type]
        made = add_member(organization=obj.organization, user=obj.user, role=Role(obj.role), actor=actor)
        obj.pk, obj._state.adding = made.pk, False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys, without their digests."""

    list_display = ["key_id", "name", "organization", "role", "created_at", "last_used_at", "expires_at", "revoked_at"]
    list_filter = [
        "role",
        ("revoked_at", admin.EmptyFieldListFilter),
        ("last_used_at", admin.EmptyFieldListFilter),
        "expires_at",
        "organization",
    ]
    search_fields = ["key_id", "name", "organization__slug", "created_by__username"]
    date_hierarchy = "created_at"
    exclude = ["secret_digest", "pepper_id", "webhook", "webhook_secret"]


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations, without their tokens' digests."""

    list_display = ["email", "organization", "role", "created_at", "expires_at", "accepted_at"]
    list_filter = ["role", ("accepted_at", admin.EmptyFieldListFilter), "organization"]
    search_fields = ["email", "organization__slug"]
    exclude = ["token_digest"]


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """The audit log of all organizations."""

    list_display = ["at", "organization", "actor", "verb", "target", "ip_address"]
    list_filter = ["at", "organization"]
    search_fields = ["actor", "verb", "target", "request_id"]
    ordering = ["-at"]


def _words(value: Any) -> Any:
    """A right's value, or the names of what is granted."""
    return value if value is None or isinstance(value, bool) else sorted(str(each) for each in value)


def _rendered(response: HttpResponse) -> HttpResponse:
    render = getattr(response, "render", None)
    return render() if render else response
