"""The price book for staff: prices and proposals are read-only; aliases, tool fees and cost sources can be set."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from aiinfra.edit_forms import RecordForm
from aiinfra.providers.admin import ProviderFilter
from aiinfra.providers.registry import provider_names
from aiinfra.readable_admin import NoWritesMixin, ReadableAdmin
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.staff import StaffRight, has_right
from cost_app.models import (
    ModelAlias,
    ModelPrice,
    PriceProposal,
    ProposalState,
    ProviderBilling,
    Repricing,
    ToolFee,
)
from cost_app.prices import naming
from cost_app.prices.admin_forms import ModelAliasForm, ToolFeeForm
from cost_app.prices.lookup import priced_models
from cost_app.prices.terms import AMOUNTS, STEP_AMOUNTS, PriceError


class ProgramOnlyAdmin(NoWritesMixin, ReadableAdmin):
    """Base for read-only rows that belong to no organization."""


@admin.register(ModelPrice)
class ModelPriceAdmin(ProgramOnlyAdmin):
    """Price versions. Add one on the price book's page, in dollars, or with `manage.py add_price`."""

    list_display = ["provider", "model", "tier", "window_name", *AMOUNTS, "effective_from", "effective_to", "source"]
    list_filter = ["tier", ProviderFilter, ("effective_to", admin.EmptyFieldListFilter)]
    search_fields = ["model", "source"]
    ordering = ["provider", "model", "tier", "window_name", "-effective_from"]
    amounts = STEP_AMOUNTS


@admin.register(PriceProposal)
class PriceProposalAdmin(ProgramOnlyAdmin):
    """Proposed prices. Approve or reject them on the price book's page."""

    list_display = ["provider", "model", "tier", "state", *AMOUNTS, "effective_from", "decided_by", "source"]
    list_select_related = ["replaces"]
    amounts = STEP_AMOUNTS
    list_filter = ["state", ProviderFilter]
    search_fields = ["model"]
    ordering = ["-created_at"]


class AddOnlyAdmin(ReadableAdmin):
    """Base for records that are added with validated values and never changed."""

    add_form: type[RecordForm]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Use `add_form` for new records."""
        if obj is None:
            kwargs["form"] = self.add_form
        return super().get_form(request, obj, change, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Staff who may approve prices."""
        return super().has_add_permission(request) and has_right(request.user, StaffRight.APPROVE_PRICES)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Never: a change is a new version."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Never: booked calls refer to it."""
        return False


class ProposedAdmin(AddOnlyAdmin):
    """Base for lines of the price book that a second person approves."""

    actions: Sequence[str] = ["approve", "reject"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002
        """Add the line, or propose it."""
        naming.submit(row=obj, actor=user_actor(request.user))  # type: ignore[arg-type]
        self._warn_if_pending(request, obj)

    @admin.action(description="Approve selected %(verbose_name_plural)s", permissions=["add"])
    def approve(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """They apply from their start time."""
        self._each(request, rows, partial(naming.decide, approved=True))

    @admin.action(description="Reject selected %(verbose_name_plural)s", permissions=["add"])
    def reject(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """They change nothing."""
        self._each(request, rows, partial(naming.decide, approved=False))

    def _each(self, request: HttpRequest, rows: QuerySet[Any], do: Callable[..., Any]) -> None:
        for row in rows:
            try:
                self._warn_if_pending(request, do(row=row, actor=user_actor(request.user)))  # type: ignore[arg-type]
            except PriceError as error:
                self.message_user(request, f"{row}: {error}", messages.ERROR)

    def _warn_if_pending(self, request: HttpRequest, row: Any) -> None:
        if row is not None and row.state == ProposalState.WAITING:
            self.message_user(request, f"{row}. Another person must approve it.", messages.WARNING)


@admin.register(ToolFee)
class ToolFeeAdmin(ProposedAdmin):
    """Tool fees. A change is a new version."""

    add_form = ToolFeeForm
    amounts = ("nano_per_use",)
    list_display = [
        "provider",
        "model",
        "tool",
        "nano_per_use",
        "state",
        "effective_from",
        "proposed_by",
        "decided_by",
        "source",
    ]
    list_filter = ["state", ProviderFilter]
    search_fields = ["tool", "model"]
    ordering = ["provider", "tool", "model", "-effective_from"]


@admin.register(ModelAlias)
class ModelAliasAdmin(ProposedAdmin):
    """Aliases, added here or proposed by the import. A later row ends or replaces an earlier one."""

    add_form = ModelAliasForm
    list_display = ["provider", "alias", "model", "state", "effective_from", "proposed_by", "decided_by", "source"]
    list_filter = ["state", ProviderFilter]
    search_fields = ["alias", "model"]
    ordering = ["provider", "alias", "-effective_from"]
    actions = ["approve", "reject", "end"]

    @admin.action(description="End selected aliases now", permissions=["add"])
    def end(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Future calls with these names have no price."""
        self._each(request, rows, naming.end_alias)


@admin.register(Repricing)
class RepricingAdmin(ProgramOnlyAdmin):
    """Repricing runs."""

    list_display = ["at", "provider", "model", "starts_at", "ends_at", "by", "reason"]
    ordering = ["-at"]


class ProviderBillingForm(RecordForm):
    """A cost source for a configured provider. A mistyped name would have no effect, so it is rejected."""

    class Meta:
        model = ProviderBilling
        fields = ["provider", "booked_cost"]

    def clean_provider(self) -> str:
        """Check the name against the configured providers and the price book."""
        provider = str(self.cleaned_data["provider"])
        if provider not in {*provider_names(), *(name for name, _ in priced_models())}:
            raise forms.ValidationError("Unknown provider.")
        return provider


@admin.register(ProviderBilling)
class ProviderBillingAdmin(ReadableAdmin):
    """Which cost is booked if a provider reports its own, for all organizations."""

    form = ProviderBillingForm
    list_display = ["provider", "booked_cost", "changed_by"]
    list_filter = ["booked_cost"]
    search_fields = ["provider"]
    ordering = ["provider"]
    readonly_fields = ["changed_by"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save and record who changed it."""
        obj.changed_by = user_actor(request.user)  # type: ignore[arg-type]
        super().save_model(request, obj, form, change)
