"""Raw records of the money for staff. Nothing here can be changed; a price is corrected by a newer version."""

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from aiinfra.tenants.admin import ReadOnlyAdmin
from aiinfra.tenants.audit import user_actor
from cost_app.models import (
    Alert,
    Attempt,
    Budget,
    BudgetIncrease,
    BudgetWindow,
    CostPolicy,
    Hold,
    InvoiceImport,
    InvoiceLine,
    LedgerEntry,
    ModelPrice,
    MonthClose,
    OptimizationRule,
    PriceProposal,
    Recommendation,
    Repricing,
    UsageDay,
)
from cost_app.prices.forms import ModelPriceForm
from cost_app.prices.proposals import add_version
from cost_app.prices.terms import AMOUNTS, LONG_AMOUNTS


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Provider calls of all organizations."""

    list_display = ["id", "organization", "provider", "model", "state", "cost_nano", "bound_nano", "created_at"]
    list_filter = ["state", "provider", "organization"]
    search_fields = ["=id", "=request_id", "=user_ref"]
    ordering = ["-created_at"]


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """The ledger of all organizations."""

    list_display = ["id", "at", "organization", "kind", "provider", "model", "nano", "estimated"]
    list_filter = ["kind", "estimated", "provider", "organization"]
    search_fields = ["=request_id", "=attempt__id", "=user_ref"]
    ordering = ["-id"]


class UnchangedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """For what belongs to no organization and is never changed."""

    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Nobody deletes."""
        return False


@admin.register(ModelPrice)
class ModelPriceAdmin(UnchangedAdmin):
    """The price book: versions are added, never changed, for attempts keep the one that they were priced with."""

    form = ModelPriceForm
    list_display = ["provider", "model", "tier", "window_name", *AMOUNTS, "effective_from", "effective_to", "source"]
    list_filter = ["provider", "tier"]
    search_fields = ["model", "source"]
    ordering = ["provider", "model", "tier", "window_name", "-effective_from"]
    fieldsets = [
        (None, {"fields": ["provider", "model", "tier", "source", "effective_from"]}),
        ("Prices", {"description": "Nano-dollars per million tokens: $0.14 is 140000000.", "fields": AMOUNTS}),
        ("Long prompts", {"fields": ["long_context_from", *LONG_AMOUNTS]}),
        ("Hours of the week", {"fields": ["window_name", "window"]}),
    ]

    def save_model(self, request: HttpRequest, obj: ModelPrice, form: ModelPriceForm, change: bool) -> None:  # noqa: ARG002
        """Add it as the page and the command do, so that the version before it ends."""
        actor = user_actor(request.user)  # type: ignore[arg-type]
        version = add_version(terms=form.terms, effective_from=obj.effective_from, actor=actor)
        obj.pk, obj._state.adding = version.pk, False


class ProgramOnlyAdmin(UnchangedAdmin):
    """For what only the program writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Nobody adds."""
        return False


@admin.register(PriceProposal)
class PriceProposalAdmin(ProgramOnlyAdmin):
    """Proposed prices; they are decided on the page of the price book."""

    list_display = ["provider", "model", "tier", "state", *AMOUNTS, "effective_from", "decided_by", "source"]
    list_filter = ["state", "provider"]
    search_fields = ["model"]
    ordering = ["-created_at"]


@admin.register(Repricing)
class RepricingAdmin(ProgramOnlyAdmin):
    """Corrections of a period's prices."""

    list_display = ["at", "provider", "model", "starts_at", "ends_at", "by", "reason"]
    ordering = ["-at"]


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnlyAdmin):
    """Advice of all organizations."""

    list_display = ["id", "organization", "kind", "subject", "state", "monthly_nano", "confidence", "computed_at"]
    list_filter = ["state", "kind", "confidence", "organization"]
    search_fields = ["title", "subject"]
    ordering = ["-computed_at"]


@admin.register(OptimizationRule)
class OptimizationRuleAdmin(ReadOnlyAdmin):
    """Rules that applied recommendations put in force."""

    list_display = ["id", "organization", "kind", "terms", "starts_at", "ended_at", "changed_requests", "saved_nano"]
    list_filter = ["kind", "organization"]
    ordering = ["-starts_at"]


@admin.register(InvoiceImport)
class InvoiceImportAdmin(ReadOnlyAdmin):
    """Providers' usage files of all organizations."""

    list_display = ["id", "organization", "provider", "file_name", "first_day", "last_day", "uploaded_by"]
    list_filter = ["provider", "organization"]
    search_fields = ["file_name", "=sha256"]
    ordering = ["-uploaded_at"]


@admin.register(InvoiceLine)
class InvoiceLineAdmin(ReadOnlyAdmin):
    """Their lines, as they were compared with the ledger."""

    list_display = ["day", "organization", "model", "token_class", "invoice_nano", "ledger_nano", "likely_cause"]
    list_filter = ["token_class", "organization"]
    search_fields = ["=invoice__id", "model"]
    ordering = ["-id"]


@admin.register(MonthClose)
class MonthCloseAdmin(ReadOnlyAdmin):
    """Closed months of all organizations."""

    list_display = ["first_day", "organization", "closed_by", "closed_at", "signature"]
    list_filter = ["organization"]
    ordering = ["-first_day"]


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin):
    """Budgets of all organizations; they are changed on their own pages, where their windows follow."""

    list_display = ["id", "organization", "period", "scope", "scope_value", "limit_nano", "enforcement", "is_active"]
    list_filter = ["is_active", "enforcement", "period", "scope", "organization"]
    search_fields = ["scope_value"]
    ordering = ["-id"]


@admin.register(BudgetWindow)
class BudgetWindowAdmin(ReadOnlyAdmin):
    """Their periods."""

    list_display = ["id", "organization", "budget", "starts_at", "limit_nano", "committed_nano", "reserved_nano"]
    list_filter = ["enforcement", "organization"]
    search_fields = ["=budget__id"]
    list_select_related = ["organization", "budget"]
    ordering = ["-id"]


@admin.register(BudgetIncrease)
class BudgetIncreaseAdmin(ReadOnlyAdmin):
    """Temporary increases."""

    list_display = ["id", "organization", "budget", "nano", "by", "reason", "expires_at", "withdrawn_at"]
    list_filter = ["organization"]
    search_fields = ["=budget__id", "reason"]
    list_select_related = ["organization", "budget"]
    ordering = ["-id"]


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """What each call holds or has spent of each window."""

    list_display = ["id", "organization", "attempt_id", "window_id", "reserved_nano", "committed_nano"]
    list_filter = ["organization"]
    search_fields = ["=attempt__id", "=window__id"]
    ordering = ["-id"]


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts of all organizations."""

    list_display = ["cause", "organization", "kind", "severity", "state", "opened_at", "resolved_at"]
    list_filter = ["kind", "severity", "state", "organization"]
    list_select_related = ["organization"]
    search_fields = ["cause"]
    ordering = ["-id"]


@admin.register(CostPolicy)
class CostPolicyAdmin(ReadOnlyAdmin):
    """The rules of all organizations; they are changed on the page of each."""

    list_display = ["organization", "unpriced_models", "bound_mode", "month_starts_on", "usage_time_zone"]
    list_select_related = ["organization"]


@admin.register(UsageDay)
class UsageDayAdmin(ReadOnlyAdmin):
    """The sums of all organizations by day; `manage.py rebuild_rollups` makes them anew."""

    list_display = ["day", "organization", "dimension", "value", "nano", "calls", "errors", "cache_hits"]
    list_filter = ["dimension", "organization"]
    list_select_related = ["organization"]
    ordering = ["-day", "dimension", "value"]
