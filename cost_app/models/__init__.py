"""The tables of the cost engine."""

from aiinfra.notifications.models import Severity
from cost_app.models.alerts import COST_KINDS, STAFF_KINDS, Alert, AlertKind, AlertState
from cost_app.models.budgets import (
    Budget,
    BudgetIncrease,
    BudgetPeriod,
    BudgetScope,
    BudgetWindow,
    Enforcement,
    Hold,
)
from cost_app.models.finance import ExportDelivery, InvoiceImport, InvoiceLine, InvoiceUpload, MonthClose
from cost_app.models.ledger import (
    Attempt,
    AttemptState,
    BookedCost,
    LedgerEntry,
    LedgerKind,
    ProviderBilling,
    RequestClass,
    UsageIssue,
)
from cost_app.models.performance import ModelHour, ModelMinute, ModelState
from cost_app.models.policy import BoundMode, CostPolicy, UnpricedModels
from cost_app.models.prices import (
    ModelAlias,
    ModelPrice,
    PriceProposal,
    PriceTier,
    ProposalState,
    ProviderLimit,
    Repricing,
    ToolFee,
)
from cost_app.models.recommendations import (
    OptimizationRule,
    Recommendation,
    RecommendationKind,
    RecommendationState,
    RuleUse,
)
from cost_app.models.usage import OTHER_TAGS, SUMS, Dimension, PendingUsage, UsageDay, UsageHour

__all__ = [
    "COST_KINDS",
    "OTHER_TAGS",
    "STAFF_KINDS",
    "SUMS",
    "Alert",
    "AlertKind",
    "AlertState",
    "Attempt",
    "AttemptState",
    "BookedCost",
    "BoundMode",
    "Budget",
    "BudgetIncrease",
    "BudgetPeriod",
    "BudgetScope",
    "BudgetWindow",
    "CostPolicy",
    "Dimension",
    "Enforcement",
    "ExportDelivery",
    "Hold",
    "InvoiceImport",
    "InvoiceLine",
    "InvoiceUpload",
    "LedgerEntry",
    "LedgerKind",
    "ModelAlias",
    "ModelHour",
    "ModelMinute",
    "ModelPrice",
    "ModelState",
    "MonthClose",
    "OptimizationRule",
    "PendingUsage",
    "PriceProposal",
    "PriceTier",
    "ProposalState",
    "ProviderBilling",
    "ProviderLimit",
    "Recommendation",
    "RecommendationKind",
    "RecommendationState",
    "Repricing",
    "RequestClass",
    "RuleUse",
    "Severity",
    "ToolFee",
    "UnpricedModels",
    "UsageDay",
    "UsageHour",
    "UsageIssue",
]
