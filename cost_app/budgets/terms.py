"""The settings of a budget, and their validation."""

from dataclasses import dataclass, replace

from django.db.models import Q, TextChoices

from aiinfra.names import normal_name
from aiinfra.row_ids import is_row_id
from aiinfra.tenants.models import ApiKey
from cost_app.models import BudgetPeriod, BudgetScope, Enforcement
from cost_app.prices.lookup import priced_models

NANO_MAX = 10**17 - 1
"""Below 100 million dollars: a limit and many years of carry-over still fit into the database's 64 bits."""
VALUE_MAX = 200
TAG_MAX = 64
"""No call has a longer tag."""


class BudgetTermsError(ValueError):
    """A setting is invalid; `field` is its name in `BudgetTerms`, or the parameter's."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class BudgetSumError(BudgetTermsError):
    """The amount is valid alone but too large combined with existing increases."""


class BudgetChangedError(ValueError):
    """Someone else has changed the budget since the caller read it."""

    def __init__(self) -> None:
        super().__init__("this budget was changed after you opened the page")


@dataclass(frozen=True)
class BudgetTerms:
    """All settings of a budget. Amounts are nano-dollars, thresholds percent of the limit.

    `scope_value` is "" for the organization, an API key's public ID or row ID, a user's reference, `provider/model`, or
    a tag. `rollover_cap_nano` is the maximum carry-over, None for no maximum.
    """

    period: str
    limit_nano: int
    warning_percent: int = 80
    alert_percent: int = 95
    rollover_unused: bool = False
    rollover_cap_nano: int | None = None
    enforcement: str = Enforcement.WARN
    scope: str = BudgetScope.ORGANIZATION
    scope_value: str = ""


def checked(terms: BudgetTerms) -> BudgetTerms:
    """The validated terms, with an API key named by its row ID, as budgets store it. Raises BudgetTermsError.

    Looks for a key in the organization in scope.
    """
    _check_choice("period", terms.period, BudgetPeriod)
    _check_choice("enforcement", terms.enforcement, Enforcement)
    _check_choice("scope", terms.scope, BudgetScope)
    check_amount("limit_nano", terms.limit_nano)
    if terms.rollover_cap_nano is not None:
        check_amount("rollover_cap_nano", terms.rollover_cap_nano)
        if not terms.rollover_unused:
            raise BudgetTermsError("rollover_cap_nano", "A cap requires a budget with carry-over.")
    _check_thresholds(terms)
    return replace(terms, scope_value=_scope_value(terms.scope, normal_name(terms.scope_value)))


def check_amount(field: str, nano: int, least: int = 0) -> None:
    """Raise BudgetTermsError for an amount below `least` or at or above 100 million dollars."""
    if nano < least:
        raise BudgetTermsError(field, "The amount must be positive." if least else "The amount must not be negative.")
    if nano > NANO_MAX:
        raise BudgetTermsError(field, "The amount must be below $100 million.")


def check_model_is_priced(terms: BudgetTerms) -> None:
    """Raise BudgetTermsError for a new budget of a model that is not in the price book: it would count nothing."""
    if terms.scope == BudgetScope.MODEL and tuple(terms.scope_value.split("/", 1)) not in priced_models():
        raise BudgetTermsError("scope_value", "This model is not in the price book; write it as provider/model.")


def _check_choice(field: str, value: str, choices: type[TextChoices]) -> None:
    if value not in choices.values:
        raise BudgetTermsError(field, f"Use one of: {', '.join(choices.values)}.")


def _check_thresholds(terms: BudgetTerms) -> None:
    for field in ("warning_percent", "alert_percent"):
        if not 1 <= getattr(terms, field) <= 100:
            raise BudgetTermsError(field, "A threshold must be 1 to 100 percent of the limit.")
    if terms.warning_percent > terms.alert_percent:
        raise BudgetTermsError("warning_percent", "The warning threshold can't be above the alert threshold.")


def _scope_value(scope: str, value: str) -> str:
    if scope == BudgetScope.ORGANIZATION:
        if value:
            raise BudgetTermsError("scope_value", "A budget for the whole organization takes no scope value.")
        return ""
    if not value or len(value) > VALUE_MAX:
        raise BudgetTermsError("scope_value", f"Enter a value of 1 to {VALUE_MAX} characters.")
    if scope == BudgetScope.TAG and len(value) > TAG_MAX:
        raise BudgetTermsError("scope_value", f"A tag can have at most {TAG_MAX} characters.")
    return _key_row_id(value) if scope == BudgetScope.API_KEY else value


def _key_row_id(value: str) -> str:
    """Public IDs can be all digits, like row IDs; the public ID then takes precedence."""
    named = Q(key_id=value)
    if is_row_id(value):
        named |= Q(id=int(value))
    keys = dict(ApiKey.objects.filter(named).order_by("id").values_list("key_id", "id"))
    if not keys:
        raise BudgetTermsError("scope_value", "Unknown API key.")
    return str(keys.get(value) or next(iter(keys.values())))
