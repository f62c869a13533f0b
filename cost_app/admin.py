"""Raw records of the money for staff. What has a page where its rules hold cannot be changed here."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import CharField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast
from django.http import HttpRequest

from aiinfra.edit_forms import RecordForm
from aiinfra.providers.admin import ProviderFilter
from aiinfra.providers.models import FallbackOptOut, FallbackRoute
from aiinfra.providers.registry import provider_names
from aiinfra.readable_admin import NoWritesMixin, ReadableAdmin
from aiinfra.tenants.admin import ReadOnlyAdmin
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.models import ApiKey
from cost_app.models import (
    Alert,
    Attempt,
    Budget,
    BudgetIncrease,
    BudgetScope,
    BudgetWindow,
    CostPolicy,
    Dimension,
    ExportDelivery,
    Hold,
    InvoiceImport,
    InvoiceLine,
    LedgerEntry,
    ModelAlias,
    ModelPrice,
    MonthClose,
    OptimizationRule,
    PriceProposal,
    ProviderBilling,
    Recommendation,
    Repricing,
    ToolFee,
    UsageDay,
)
from cost_app.prices import naming
from cost_app.prices.admin_forms import ModelAliasForm, ToolFeeForm
from cost_app.prices.book import priced_models
from cost_app.prices.terms import AMOUNTS, STEP_AMOUNTS, PriceError


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Provider calls of all organizations."""

    list_display = [
        "created_at",
        "organization",
        "api_key",
        "provider",
        "model",
        "state",
        "tier",
        "cost_nano",
        "reported_nano",
        "bound_nano",
        "usage_issue",
        "error_code",
    ]
    list_filter = ["state", "usage_issue", ProviderFilter, "request_class", "created_at", "organization"]
    list_select_related = ["organization", "api_key"]
    search_fields = ["=id", "=request_id", "=user_ref", "=external_id", "=model", "=error_code", "=api_key__key_id"]
    ordering = ["-created_at"]


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """The ledger of all organizations."""

    list_display = [
        "at",
        "organization",
        "api_key",
        "kind",
        "provider",
        "model",
        "nano",
        "reported_nano",
        "saved_nano",
        "estimated",
        "note",
    ]
    list_filter = ["kind", "estimated", ProviderFilter, "at", "organization"]
    list_select_related = ["organization", "api_key"]
    search_fields = ["=request_id", "=attempt__id", "=user_ref", "=model", "=api_key__key_id"]
    ordering = ["-id"]


class ProgramOnlyAdmin(NoWritesMixin, ReadableAdmin):
    """For what belongs to no organization and is not written here."""


@admin.register(ModelPrice)
class ModelPriceAdmin(ProgramOnlyAdmin):
    """The price book. Versions are added on its page, in dollars, or by `manage.py add_price`."""

    list_display = ["provider", "model", "tier", "window_name", *AMOUNTS, "effective_from", "effective_to", "source"]
    list_filter = ["tier", ProviderFilter, ("effective_to", admin.EmptyFieldListFilter)]
    search_fields = ["model", "source"]
    ordering = ["provider", "model", "tier", "window_name", "-effective_from"]
    amounts = STEP_AMOUNTS


@admin.register(PriceProposal)
class PriceProposalAdmin(ProgramOnlyAdmin):
    """Proposed prices; they are decided on the page of the price book."""

    list_display = ["provider", "model", "tier", "state", *AMOUNTS, "effective_from", "decided_by", "source"]
    list_select_related = ["replaces"]
    amounts = STEP_AMOUNTS
    list_filter = ["state", ProviderFilter]
    search_fields = ["model"]
    ordering = ["-created_at"]


class AddOnlyAdmin(ReadableAdmin):
    """For what is added in dollars and words that are checked, and never changed."""

    add_form: type[RecordForm]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """A form of its own for what is new."""
        if obj is None:
            kwargs["form"] = self.add_form
        return super().get_form(request, obj, change, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody deletes."""
        return False


@admin.register(ToolFee)
class ToolFeeAdmin(AddOnlyAdmin):
    """Fees of tools. A change is a new version."""

    add_form = ToolFeeForm
    amounts = ("nano_per_use",)
    list_display = ["provider", "model", "tool", "nano_per_use", "effective_from", "added_by", "source"]
    list_filter = [ProviderFilter]
    search_fields = ["tool", "model"]
    ordering = ["provider", "tool", "model", "-effective_from"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002
        """Add the fee, with who did it."""
        naming.add_fee(row=obj, actor=user_actor(request.user))  # type: ignore[arg-type]


@admin.register(ModelAlias)
class ModelAliasAdmin(AddOnlyAdmin):
    """Aliases. They are added here, or proposed by the import and decided here; a later row ends or replaces one."""

    add_form = ModelAliasForm
    list_display = ["provider", "alias", "model", "state", "effective_from", "decided_by", "source"]
    list_filter = ["state", ProviderFilter]
    search_fields = ["alias", "model"]
    ordering = ["provider", "alias", "-effective_from"]
    actions = ["approve", "reject", "end"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002
        """Add the alias, approved by who added it."""
        naming.add_alias(row=obj, actor=user_actor(request.user))  # type: ignore[arg-type]

    @admin.action(description="Approve selected aliases", permissions=["add"])
    def approve(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """They hold from their beginning on."""
        self._each(request, rows, partial(naming.decide_alias, approved=True))

    @admin.action(description="Reject selected aliases", permissions=["add"])
    def reject(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """They are not proposed again."""
        self._each(request, rows, partial(naming.decide_alias, approved=False))

    @admin.action(description="End selected aliases now", permissions=["add"])
    def end(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Later calls of these names have no price."""
        self._each(request, rows, naming.end_alias)

    def _each(self, request: HttpRequest, rows: QuerySet[Any], do: Callable[..., None]) -> None:
        for row in rows:
            try:
                do(row=row, actor=user_actor(request.user))  # type: ignore[arg-type]
            except PriceError as error:
                self.message_user(request, f"{row}: {error}.", messages.ERROR)


@admin.register(Repricing)
class RepricingAdmin(ProgramOnlyAdmin):
    """Corrections of a period's prices."""

    list_display = ["at", "provider", "model", "starts_at", "ends_at", "by", "reason"]
    ordering = ["-at"]


class ProviderBillingForm(RecordForm):
    """A setting for a provider that can be called: a mistyped name would set nothing."""

    class Meta:
        model = ProviderBilling
        fields = ["provider", "booked_cost"]

    def clean_provider(self) -> str:
        """Check the name against the configured providers and the price book."""
        provider = str(self.cleaned_data["provider"])
        if provider not in {*provider_names(), *(name for name, _ in priced_models())}:
            raise forms.ValidationError("No provider has this name.")
        return provider


@admin.register(ProviderBilling)
class ProviderBillingAdmin(ReadableAdmin):
    """Which cost is booked where a provider reports its own, for all organizations."""

    form = ProviderBillingForm
    list_display = ["provider", "booked_cost", "changed_by"]
    list_filter = ["booked_cost"]
    search_fields = ["provider"]
    ordering = ["provider"]
    readonly_fields = ["changed_by"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save, with who did it."""
        obj.changed_by = user_actor(request.user)  # type: ignore[arg-type]
        super().save_model(request, obj, form, change)


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnlyAdmin):
    """Advice of all organizations."""

    list_display = ["title", "organization", "kind", "state", "monthly_nano", "confidence", "computed_at"]
    date_hierarchy = "computed_at"
    list_filter = ["state", "kind", "confidence", "organization"]
    search_fields = ["title", "subject"]
    ordering = ["-computed_at"]


@admin.register(OptimizationRule)
class OptimizationRuleAdmin(ReadOnlyAdmin):
    """Rules that applied recommendations put in force."""

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


@admin.register(InvoiceImport)
class InvoiceImportAdmin(ReadOnlyAdmin):
    """Providers' usage files of all organizations."""

    list_display = ["file_name", "organization", "provider", "first_day", "last_day", "uploaded_by", "uploaded_at"]
    list_filter = [ProviderFilter, "organization"]
    date_hierarchy = "uploaded_at"
    search_fields = ["file_name", "=sha256"]
    ordering = ["-uploaded_at"]


@admin.register(InvoiceLine)
class InvoiceLineAdmin(ReadOnlyAdmin):
    """Their lines, as they were compared with the ledger."""

    list_display = ["day", "organization", "model", "token_class", "invoice_nano", "ledger_nano", "likely_cause"]
    list_filter = ["token_class", "organization"]
    list_select_related = ["organization", "invoice"]
    search_fields = ["=invoice__id", "model", "invoice__file_name"]
    ordering = ["-id"]


@admin.register(MonthClose)
class MonthCloseAdmin(ReadOnlyAdmin):
    """Closed months of all organizations."""

    list_display = ["first_day", "organization", "closed_by", "closed_at"]
    list_filter = ["organization"]
    search_fields = ["closed_by", "organization__slug"]
    date_hierarchy = "first_day"
    ordering = ["-first_day"]


@admin.register(ExportDelivery)
class ExportDeliveryAdmin(ReadOnlyAdmin):
    """Scheduled files of all organizations."""

    list_display = ["kind", "first_day", "organization", "delivered_at", "size", "error"]
    list_filter = ["kind", "organization"]
    search_fields = ["error", "organization__slug"]
    date_hierarchy = "first_day"
    ordering = ["-first_day", "kind"]


def key_name(id_text: str) -> Subquery:
    """The name of the API key whose id stands as text in a column."""
    keys = ApiKey.objects.annotate(text=Cast("pk", CharField())).filter(text=OuterRef(id_text))
    return Subquery(keys.values("name")[:1])


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin):
    """Budgets of all organizations; they are changed on their own pages, where their windows follow."""

    list_display = ["organization", "period", "scope", "counted", "limit_nano", "enforcement", "is_active"]
    list_filter = ["is_active", "enforcement", "period", "scope", "organization"]
    search_fields = ["scope_value", "organization__slug"]
    exclude = ["scope_value"]
    readonly_fields = ["counted"]
    ordering = ["-id"]

    def with_names(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With the names of the keys."""
        named: QuerySet[Any] = rows.annotate(key_name=key_name("scope_value"))
        return named

    @admin.display(description="counts")
    def counted(self, budget: Any) -> str:
        """The key's name, the user, the model or the tag."""
        return counted(budget.scope, budget.scope_value, budget.key_name)


class OfABudgetAdmin(ReadOnlyAdmin):
    """For what belongs to a budget, which is named by its period and what it counts."""

    list_filter = ["budget__period", "budget__scope", "organization"]
    list_select_related = ["organization", "budget"]
    search_fields = ["=budget__id", "budget__scope_value", "organization__slug"]
    ordering = ["-id"]

    def with_names(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With the names of the keys."""
        named: QuerySet[Any] = rows.annotate(key_name=key_name("budget__scope_value"))
        return named

    @admin.display(description="budget")
    def budget_name(self, row: Any) -> str:
        """`daily: Website key`."""
        return f"{row.budget.period}: {counted(row.budget.scope, row.budget.scope_value, row.key_name)}"


def counted(scope: str, value: str, name_of_key: str | None) -> str:
    """What a budget counts, in words."""
    if scope == BudgetScope.API_KEY:
        return name_of_key or "a key that is gone"
    return value or "everything"


@admin.register(BudgetWindow)
class BudgetWindowAdmin(OfABudgetAdmin):
    """The periods of budgets."""

    list_display = [
        "budget_name",
        "organization",
        "starts_at",
        "limit_nano",
        "committed_nano",
        "reserved_nano",
        "enforcement",
    ]


@admin.register(BudgetIncrease)
class BudgetIncreaseAdmin(OfABudgetAdmin):
    """Temporary increases."""

    list_display = ["budget_name", "organization", "nano", "by", "reason", "expires_at", "withdrawn_at"]
    search_fields = [*OfABudgetAdmin.search_fields, "reason", "by"]


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """What each call holds or has spent of each window."""

    list_display = ["attempt", "organization", "window", "reserved_nano", "committed_nano"]
    list_filter = ["organization"]
    list_select_related = ["organization", "attempt", "window"]
    search_fields = ["=attempt__id", "=window__id", "=attempt__request_id"]
    ordering = ["-id"]


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts of all organizations."""

    list_display = ["message", "organization", "kind", "severity", "state", "opened_at", "resolved_at"]
    list_filter = ["kind", "severity", "state", "opened_at", "organization"]
    search_fields = ["message", "cause", "acknowledged_by", "resolved_by"]
    ordering = ["-id"]


@admin.register(CostPolicy)
class CostPolicyAdmin(ReadOnlyAdmin):
    """The rules of all organizations; they are changed on the page of each."""

    list_display = ["organization", "unpriced_models", "bound_mode", "month_starts_on", "usage_time_zone"]
    list_select_related = ["organization"]


@admin.register(UsageDay)
class UsageDayAdmin(ReadOnlyAdmin):
    """The sums of all organizations by day; `manage.py rebuild_rollups` recomputes them."""

    list_display = ["day", "organization", "dimension", "named", "nano", "calls", "errors", "cache_hits"]
    list_filter = ["dimension", "day", "organization"]
    search_fields = ["=value"]
    exclude = ["value"]
    readonly_fields = ["named"]
    ordering = ["-day", "dimension", "value"]

    def with_names(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With the names of the keys."""
        named: QuerySet[Any] = rows.annotate(key_name=key_name("value"))
        return named

    @admin.display(description="value", ordering="value")
    def named(self, row: Any) -> str:
        """The key's name, or the value itself."""
        return str(row.key_name or row.value) if row.dimension == Dimension.API_KEY else str(row.value)


@admin.register(FallbackRoute)
class FallbackRouteAdmin(ReadOnlyAdmin):
    """Custom fallback chains; they are changed on the page of routes, which checks them."""

    list_display = ["organization", "provider", "model", "position", "to_provider", "to_model"]
    list_filter = [ProviderFilter, "organization"]
    search_fields = ["organization__slug", "model", "to_model"]
    ordering = ["organization", "provider", "model", "position"]


@admin.register(FallbackOptOut)
class FallbackOptOutAdmin(ReadOnlyAdmin):
    """Where the default fallback chains are off: for a model, or without a model for the whole organization."""

    list_display = ["organization", "provider", "model"]
    list_filter = ["organization"]
    search_fields = ["organization__slug", "model"]
