"""Forms for budgets."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.text import capfirst

from aiinfra.money import dollars
from aiinfra.names import normal_name
from aiinfra.tenants.models import ApiKey
from cost_app.budgets.manage import REASON_MAX
from cost_app.budgets.terms import NANO_MAX, TAG_MAX, VALUE_MAX, BudgetTerms
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.models import OTHER_TAGS, Budget, BudgetPeriod, BudgetScope, Enforcement, UsageDay
from cost_app.policy import zone_of
from cost_app.prices.lookup import priced_models

SUGGESTED = 200
SUGGESTED_DAYS = timedelta(days=30)
MOST = Decimal(NANO_MAX).scaleb(-9)
VERSION = "%Y-%m-%dT%H:%M:%S.%f"
VALUE_FIELDS = {
    BudgetScope.API_KEY: "api_key",
    BudgetScope.USER: "user",
    BudgetScope.MODEL: "model",
    BudgetScope.TAG: "tag",
}
FIELDS_OF_TERMS = {
    "limit_nano": "limit",
    "rollover_cap_nano": "rollover_cap",
    "scope_value": "scope",
    "nano": "amount",
    "expires_at": "last_day",
}
"""The form field of each rejected setting whose field has another name."""


def _amount(**options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        min_value=0,
        max_value=MOST,
        decimal_places=9,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal", "autocomplete": "off"}),
        **options,
    )


def _percent(**options: Any) -> forms.IntegerField:
    return forms.IntegerField(
        min_value=1, max_value=100, widget=forms.NumberInput(attrs={"inputmode": "numeric"}), **options
    )


def nano_of(amount: Decimal) -> int:
    """A form amount, which has at most nine decimals, in nano-dollars."""
    return int(amount.scaleb(9))


def add_refusal(form: forms.Form, field: str, message: str) -> None:
    """Show an error of the budget's rules at the field it is about."""
    name = FIELDS_OF_TERMS.get(field, field)
    form.add_error(name if name in form.fields else None, message)


class LimitForm(forms.Form):
    """The settings of a budget that can be changed."""

    limit = _amount(
        label="Limit (USD)", help_text="Per period. Changes apply immediately, even below current spending."
    )
    warning_percent = _percent(label="Warn at (% spent)", initial=80)
    alert_percent = _percent(label="Alert at (% spent)", initial=95)
    enforcement = forms.ChoiceField(
        label="When the limit is reached",
        choices=[(value, capfirst(label)) for value, label in Enforcement.choices],
        initial=Enforcement.WARN,
        widget=forms.RadioSelect,
    )
    rollover_unused = forms.BooleanField(required=False, label="Carry unused budget over to the next period")
    rollover_cap = _amount(
        required=False, label="Maximum carry-over (USD)", help_text="Leave empty to carry over everything unused."
    )

    def clean(self) -> dict[str, Any]:
        """Check that the warning threshold is not above the alert threshold."""
        warning, alert = self.cleaned_data.get("warning_percent"), self.cleaned_data.get("alert_percent")
        if warning and alert and warning > alert:
            self.add_error("warning_percent", "The warning threshold can't be above the alert threshold.")
        if self.cleaned_data.get("rollover_cap") is not None and not self.cleaned_data.get("rollover_unused"):
            self.add_error("rollover_cap", "A maximum requires carry-over. Enable carry-over or clear this field.")
        return self.cleaned_data

    def settings(self) -> dict[str, Any]:
        """The settings of a valid form, as fields of `BudgetTerms`."""
        data = self.cleaned_data
        cap = data["rollover_cap"]
        return {
            "limit_nano": nano_of(data["limit"]),
            "warning_percent": data["warning_percent"],
            "alert_percent": data["alert_percent"],
            "enforcement": data["enforcement"],
            "rollover_unused": data["rollover_unused"],
            "rollover_cap_nano": None if cap is None else nano_of(cap),
        }

    @staticmethod
    def values_of(budget: Budget) -> dict[str, Any]:
        """The form's initial values."""
        cap = budget.rollover_cap_nano
        return {
            "limit": dollars(budget.limit_nano),
            "warning_percent": budget.warning_percent,
            "alert_percent": budget.alert_percent,
            "enforcement": budget.enforcement,
            "rollover_unused": budget.rollover_unused,
            "rollover_cap": None if cap is None else dollars(cap),
        }


class EditForm(LimitForm):
    """The form for an existing budget; `seen` is the version that the page showed."""

    seen = forms.DateTimeField(required=False, widget=forms.HiddenInput, input_formats=[f"{VERSION}%z"])

    @staticmethod
    def version_of(budget: Budget) -> str:
        """The value of `seen`: precise to the microsecond, so that each change is a new version."""
        return budget.updated_at.strftime(f"{VERSION}%z")


class BudgetForm(LimitForm):
    """A new budget: its period, its scope, and the settings.

    Offers the keys in use, the models that have a price, and the users and tags of the last 30 days: four queries.
    """

    period = forms.ChoiceField(
        choices=[(value, label) for value, label in BudgetPeriod.choices], initial=BudgetPeriod.MONTHLY
    )
    scope = forms.ChoiceField(
        label="Applies to",
        choices=[(value, capfirst(label)) for value, label in BudgetScope.choices],
        initial=BudgetScope.ORGANIZATION,
        widget=forms.RadioSelect,
    )
    api_key = forms.ChoiceField(required=False, label="API key")
    user = forms.CharField(
        required=False,
        max_length=VALUE_MAX,
        label="User",
        help_text="As sent in userId. Requests from the browser use the username.",
        widget=forms.TextInput(attrs={"list": "known-users", "autocomplete": "off"}),
    )
    model = forms.ChoiceField(required=False, label="Model")
    tag = forms.CharField(
        required=False,
        max_length=TAG_MAX,
        label="Tag",
        widget=forms.TextInput(attrs={"list": "known-tags", "autocomplete": "off"}),
    )
    count_from = forms.ChoiceField(
        label="Count spending",
        choices=[("period", "From the beginning of the current period"), ("now", "From now")],
        initial="period",
        required=False,
        widget=forms.RadioSelect,
    )
    field_order = ["period", "scope", "api_key", "user", "model", "tag", "count_from", "limit"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        models = [f"{provider}/{model}" for provider, model in priced_models()]
        self.fields["model"].choices = _chosen_of([(name, name) for name in models])  # type: ignore[attr-defined]
        self.fields["api_key"].choices = _chosen_of(_keys_in_use())  # type: ignore[attr-defined]

    @property
    def known_users(self) -> list[str]:
        """Suggested user names."""
        return _known(BudgetScope.USER)

    @property
    def known_tags(self) -> list[str]:
        """Suggested tags."""
        return _known(BudgetScope.TAG)

    def clean(self) -> dict[str, Any]:
        """Check that the scope's value is given and has no budget yet."""
        super().clean()
        scope = self.cleaned_data.get("scope", "")
        field = VALUE_FIELDS.get(scope)
        if field and field not in self.errors and not normal_name(self.cleaned_data.get(field, "")):
            self.add_error(field, "This field is required for this scope.")
        if not self.errors and self._exists():
            self.add_error(None, "This budget already exists. Edit it instead.")
        return self.cleaned_data

    def _exists(self) -> bool:
        same = {"scope": self.cleaned_data["scope"], "scope_value": self._scope_value()}
        return Budget.objects.filter(period=self.cleaned_data["period"], is_active=True, **same).exists()

    def _scope_value(self) -> str:
        field = VALUE_FIELDS.get(self.cleaned_data["scope"])
        return normal_name(str(self.cleaned_data[field])) if field else ""

    @property
    def from_now(self) -> bool:
        """Whether a valid form excludes the current period's cost so far."""
        return bool(self.cleaned_data["count_from"] == "now")

    def terms(self) -> BudgetTerms:
        """The terms of a valid form."""
        data = self.cleaned_data
        return BudgetTerms(
            period=data["period"], scope=data["scope"], scope_value=self._scope_value(), **self.settings()
        )


class IncreaseForm(forms.Form):
    """A temporary increase of a budget's limit, through a last day of the organization's calendar."""

    amount = _amount(label="Increase the limit by (USD)")
    last_day = forms.DateField(label="Last day", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    reason = forms.CharField(
        max_length=REASON_MAX,
        help_text="Recorded in the audit log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_last_day(self) -> date:
        """Check that the day is not over yet, and within the calendar's range."""
        day: date = self.cleaned_data["last_day"]
        if not timezone.localdate() <= day <= date(2999, 12, 31):
            raise forms.ValidationError("Select today or a later day.")
        return day

    def granted(self, organization_id: int) -> dict[str, Any]:
        """The values of a valid form, as arguments of `grant_increase`."""
        ends = Calendar(zone_of(organization_id)).begin_of(self.cleaned_data["last_day"] + ONE_DAY)
        data = self.cleaned_data
        return {"nano": nano_of(data["amount"]), "reason": data["reason"], "expires_at": ends}


def _chosen_of(choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("", "Select one"), *choices]


def _keys_in_use() -> list[tuple[str, str]]:
    not_expired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    keys = ApiKey.objects.filter(not_expired, revoked_at=None).order_by("name", "id")
    return [(str(key.pk), str(key)) for key in keys]


def _known(dimension: str) -> list[str]:
    since = timezone.localdate() - SUGGESTED_DAYS
    days = UsageDay.objects.filter(dimension=dimension, day__gte=since).exclude(value__in=["", OTHER_TAGS])
    return list(days.order_by("value").values_list("value", flat=True).distinct()[:SUGGESTED])
