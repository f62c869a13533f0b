"""Legal holds in Django admin, for staff with the right to erase content."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from aiinfra.tenants import audit
from aiinfra.tenants.admin import TenantAdmin
from aiinfra.tenants.privacy import holds
from aiinfra.tenants.privacy.models import LegalHold
from aiinfra.tenants.staff import StaffRight, has_right


@admin.register(LegalHold)
class LegalHoldAdmin(TenantAdmin):
    """Legal holds of all organizations. Place one here; release it with the action."""

    list_display = ["organization", "user_ref", "reason", "placed_by", "placed_at", "released_by", "released_at"]
    list_filter = [("released_at", admin.EmptyFieldListFilter), "organization"]
    search_fields = ["user_ref", "reason"]
    fields = ["organization", "user_ref", "reason"]
    actions = ["release"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002
        """Place the hold."""
        made = holds.place(
            organization_id=obj.organization_id,
            user_ref=obj.user_ref,
            reason=obj.reason,
            actor=audit.user_actor(request.user),  # type: ignore[arg-type]
        )
        obj.pk, obj._state.adding = made.pk, False

    @admin.action(description="Release selected holds", permissions=["add"])
    def release(self, request: HttpRequest, rows: "QuerySet[Any]") -> None:
        """Retention and erasure continue."""
        for hold in rows:
            holds.release(hold=hold, actor=audit.user_actor(request.user))  # type: ignore[arg-type]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Staff with the right."""
        return has_right(request.user, StaffRight.ERASE_CONTENT)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Staff with the right."""
        return has_right(request.user, StaffRight.ERASE_CONTENT)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never: a hold is placed and released."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False
