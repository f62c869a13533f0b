"""What people fill in on the pages of budgets."""

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
from cost_app.models import Budget, BudgetPeriod, BudgetScope, Enforcement, UsageDay
from cost_app.policy import zone_of
from cost_app.prices.book import priced_models

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
"""Where a refused setting is shown, for those whose field has another name."""


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
    """An amount of a form, which has at most nine decimals, in nano-dollars."""
    return int(amount.scaleb(9))


def add_refusal(form: forms.Form, field: str, message: str) -> None:
    """Show what the budget's own rules refused at the field that it is about."""
    name = FIELDS_OF_TERMS.get(field, field)
    form.add_error(name if name in form.fields else None, f"{message[:1].upper()}{message[1:]}.")


class LimitForm(forms.Form):
    """What can be changed of a budget."""

    limit = _amount(help_text="For each period. A change holds at once, also below what is spent.")
    warning_percent = _percent(label="Warn at, percent spent", initial=80)
    alert_percent = _percent(label="Alert at, percent spent", initial=95)
    enforcement = forms.ChoiceField(
        label="When a call does not fit",
        choices=[(value, capfirst(label)) for value, label in Enforcement.choices],
        initial=Enforcement.WARN,
        widget=forms.RadioSelect,
    )
    rollover_unused = forms.BooleanField(required=False, label="Carry what is unused over to the next period")
    rollover_cap = _amount(required=False, label="Carry over at most", help_text="Empty for all that is unused.")

    def clean(self) -> dict[str, Any]:
        """The warning does not come after the alert."""
        warning, alert = self.cleaned_data.get("warning_percent"), self.cleaned_data.get("alert_percent")
        if warning and alert and warning > alert:
            self.add_error("warning_percent", "The warning must not come after the alert.")
        if self.cleaned_data.get("rollover_cap") is not None and not self.cleaned_data.get("rollover_unused"):
            self.add_error("rollover_cap", "A cap needs a budget that carries over. Check the box above or empty this.")
        return self.cleaned_data

    def settings(self) -> dict[str, Any]:
        """Of a valid form, as fields of `BudgetTerms`."""
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
        """What the form shows before anything is changed."""
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
    """The same for a budget that exists; `seen` is the version that the page showed."""

    seen = forms.DateTimeField(required=False, widget=forms.HiddenInput, input_formats=[f"{VERSION}%z"])

    @staticmethod
    def version_of(budget: Budget) -> str:
        """What `seen` is filled with: to the microsecond, so that each change is another version."""
        return budget.updated_at.strftime(f"{VERSION}%z")


class BudgetForm(LimitForm):
    """A new budget: its period, whose spending it counts, and the rest.

    Offers the keys in use, the models that have a price, and the users and tags of the last 30 days: four queries.
    """

    period = forms.ChoiceField(
        choices=[(value, label) for value, label in BudgetPeriod.choices], initial=BudgetPeriod.MONTHLY
    )
    scope = forms.ChoiceField(
        label="Counts the spending of",
        choices=[(value, capfirst(label)) for value, label in BudgetScope.choices],
        initial=BudgetScope.ORGANIZATION,
        widget=forms.RadioSelect,
    )
    api_key = forms.ChoiceField(required=False, label="API key")
    user = forms.CharField(
        required=False,
        max_length=VALUE_MAX,
        label="User",
        help_text="As requests send it in userId. Requests from the browser have the log-in name.",
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
        choices=[("period", "from the beginning of the current period"), ("now", "from now on")],
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
        """Suggestions."""
        return _known(BudgetScope.USER)

    @property
    def known_tags(self) -> list[str]:
        """Suggestions."""
        return _known(BudgetScope.TAG)

    def clean(self) -> dict[str, Any]:
        """The scope says which one, and there is no budget of it yet."""
        super().clean()
        scope = self.cleaned_data.get("scope", "")
        field = VALUE_FIELDS.get(scope)
        if field and field not in self.errors and not normal_name(self.cleaned_data.get(field, "")):
            self.add_error(field, "Say which one.")
        if not self.errors and self._exists():
            self.add_error(None, "There is such a budget already. Edit it instead.")
        return self.cleaned_data

    def _exists(self) -> bool:
        same = {"scope": self.cleaned_data["scope"], "scope_value": self._scope_value()}
        return Budget.objects.filter(period=self.cleaned_data["period"], is_active=True, **same).exists()

    def _scope_value(self) -> str:
        field = VALUE_FIELDS.get(self.cleaned_data["scope"])
        return normal_name(str(self.cleaned_data[field])) if field else ""

    @property
    def from_now(self) -> bool:
        """Of a valid form, whether what the current period has cost is left out."""
        return bool(self.cleaned_data["count_from"] == "now")

    def terms(self) -> BudgetTerms:
        """Of a valid form."""
        data = self.cleaned_data
        return BudgetTerms(
            period=data["period"], scope=data["scope"], scope_value=self._scope_value(), **self.settings()
        )


class IncreaseForm(forms.Form):
    """A temporary rise of a budget's limit, through a last day of the organization's calendar."""

    amount = _amount(label="Raise the limit by")
    last_day = forms.DateField(
        label="Through the day", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    reason = forms.CharField(
        max_length=REASON_MAX,
        help_text="Goes into the audit log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_last_day(self) -> date:
        """Not over yet, and not so far off that no calendar has it."""
        day: date = self.cleaned_data["last_day"]
        if not timezone.localdate() <= day <= date(2999, 12, 31):
            raise forms.ValidationError("Choose today or a later day.")
        return day

    def granted(self, organization_id: int) -> dict[str, Any]:
        """Of a valid form, as arguments of `grant_increase`."""
        ends = Calendar(zone_of(organization_id)).begin_of(self.cleaned_data["last_day"] + ONE_DAY)
        data = self.cleaned_data
        return {"nano": nano_of(data["amount"]), "reason": data["reason"], "expires_at": ends}


def _chosen_of(choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("", "Choose one"), *choices]


def _keys_in_use() -> list[tuple[str, str]]:
    not_expired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    keys = ApiKey.objects.filter(not_expired, revoked_at=None).order_by("name", "id")
    return [(str(key.pk), str(key)) for key in keys]


def _known(dimension: str) -> list[str]:
    since = timezone.localdate() - SUGGESTED_DAYS
    days = UsageDay.objects.filter(dimension=dimension, day__gte=since).exclude(value="")
    return list(days.order_by("value").values_list("value", flat=True).distinct()[:SUGGESTED])
