"""Forms for the price book."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from cost_app.models import ModelPrice, PriceTier
from cost_app.prices.repricing import Period
from cost_app.prices.screens import providers_priced
from cost_app.prices.shipped import nano_of
from cost_app.prices.terms import STEP_AMOUNTS, STEPS_MAX, TOKENS_MAX, PriceError, PriceTerms, label_of, with_defaults
from cost_app.prices.windows import WEEKDAYS

NAME = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})


def _dollars(label: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(label=label, min_value=0, max_digits=16, decimal_places=9, **options)


class PriceFilterForm(forms.Form):
    """Which prices to show; an invalid filter shows all."""

    text = forms.CharField(
        required=False,
        max_length=128,
        label="Model",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search models", "data-search": True}),
    )
    provider = forms.ChoiceField(required=False)
    tier = forms.ChoiceField(required=False, choices=[("", "Any"), *PriceTier.choices])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["provider"].choices = [("", "Any"), *((name, name) for name in providers_priced())]  # type: ignore[attr-defined]

    def chosen(self) -> dict[str, str]:
        """The valid filters, as arguments of `current_prices`."""
        try:
            self.full_clean()
        except ValidationError:
            return {}
        return {name: value for name, value in self.cleaned_data.items() if value}


class PriceForm(forms.Form):
    """A new version. Amounts are dollars per million tokens, hours are UTC, the start is local."""

    provider = forms.CharField(max_length=32, widget=NAME)
    model = forms.CharField(max_length=128, widget=NAME)
    tier = forms.ChoiceField(choices=PriceTier.choices, initial=PriceTier.STANDARD)
    input = _dollars("Input")
    cache_read = _dollars("Cache read", required=False, help_text="Leave empty to use the input price.")
    cache_write = _dollars("Cache write", required=False, help_text="Leave empty to use the input price.")
    cache_write_1h = _dollars("Cache write, 1 hour", required=False, help_text="Leave empty for twice the input price.")
    output = _dollars("Output")
    window_name = forms.CharField(
        required=False, max_length=32, label="Name of the hours", help_text="For example, Peak."
    )
    weekdays = forms.TypedMultipleChoiceField(
        required=False, coerce=int, choices=list(enumerate(WEEKDAYS)), widget=forms.CheckboxSelectMultiple
    )
    hours = forms.CharField(
        required=False, max_length=200, label="Hours in UTC", help_text="01:00-04:00, 06:00-10:00", widget=NAME
    )
    effective_from = forms.DateTimeField(
        required=False,
        label="Effective from",
        help_text="Leave empty for now.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    source = forms.CharField(max_length=200, help_text="Where and when you found the price.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number in range(1, STEPS_MAX + 1):
            self.fields[f"long_{number}_above"] = forms.IntegerField(
                required=False, min_value=0, max_value=TOKENS_MAX, label="Prompts above", help_text="Tokens."
            )
            for name in STEP_AMOUNTS:
                self.fields[f"long_{number}_{name}"] = _dollars(label_of(name), required=False)

    @property
    def steps(self) -> list[list[forms.BoundField]]:
        """The fields of each prompt length, for the page."""
        names = ("above", *STEP_AMOUNTS)
        return [[self[f"long_{number}_{name}"] for name in names] for number in range(1, STEPS_MAX + 1)]

    def clean(self) -> dict[str, Any]:
        """Check that the parts form a valid price."""
        if not self.errors:
            try:
                self.chosen_terms().check()
            except PriceError as error:
                raise ValidationError(str(error)) from error
        return self.cleaned_data

    def chosen_terms(self) -> PriceTerms:
        """The price of a valid form."""
        given = self.cleaned_data
        amounts = with_defaults({name: _nano(given[name]) for name in STEP_AMOUNTS})
        others = {name: given[name] for name in ("provider", "model", "tier", "source", "window_name")}
        return PriceTerms(**others, **amounts, long_prompts=self._steps(), window=self._window())

    def chosen_beginning(self) -> datetime:
        """When the price of a valid form takes effect."""
        start: datetime | None = self.cleaned_data["effective_from"]
        return start or timezone.now()

    def _steps(self) -> list[dict[str, Any]]:
        steps = []
        for number in range(1, STEPS_MAX + 1):
            above = self.cleaned_data[f"long_{number}_above"]
            amounts = {name: _nano(self.cleaned_data[f"long_{number}_{name}"]) for name in STEP_AMOUNTS}
            if above is not None:
                steps.append({"above": above, **with_defaults(amounts)})
            elif any(amount is not None for amount in amounts.values()):
                raise PriceError("Prices for long prompts require the length above which they apply.")
        return sorted(steps, key=lambda step: step["above"])

    def _window(self) -> list[dict[str, Any]]:
        spans = [span.strip() for span in self.cleaned_data["hours"].split(",") if span.strip()]
        days = sorted(self.cleaned_data["weekdays"])
        if bool(spans) != bool(days):
            raise PriceError("Weekdays and hours must be given together.")
        return [{"weekdays": days, **_span(span)} for span in spans]


def initial_of(price: ModelPrice) -> dict[str, Any]:
    """Initial values from a version's columns. Hours that differ from day to day are left out."""
    initial = {name: getattr(price, name) for name in ("provider", "model", "tier", "window_name")}
    initial |= {name: _dollars_of(getattr(price, name)) for name in STEP_AMOUNTS}
    for number, step in enumerate(price.long_prompts, start=1):
        initial[f"long_{number}_above"] = step["above"]
        initial |= {f"long_{number}_{name}": _dollars_of(step[name]) for name in STEP_AMOUNTS}
    days = {tuple(entry["weekdays"]) for entry in price.window}
    if len(days) == 1:
        initial["weekdays"] = list(days.pop())
        initial["hours"] = ", ".join(f"{entry['from']}-{entry['to']}" for entry in price.window)
    return initial


class RepricingForm(forms.Form):
    """Whose calls to reprice: an inclusive range of days in the page's time zone."""

    provider = forms.ChoiceField()
    model = forms.CharField(
        required=False, max_length=128, widget=NAME, help_text="Leave empty for all models of the provider."
    )
    first = forms.DateField(label="From", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}))
    last = forms.DateField(label="To", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["provider"].choices = [(name, name) for name in providers_priced()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Check that the days are in order and valid in any time zone."""
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        if first and last and first > last:
            self.add_error("last", "The last day is before the first.")
        for name, day in (("first", first), ("last", last)):
            if day and not date(2000, 1, 1) <= day <= date(2999, 12, 31):
                self.add_error(name, "Select a day in the year 2000 or later.")
        return self.cleaned_data

    def chosen_period(self) -> Period:
        """The period of a valid form."""
        given = self.cleaned_data
        return Period(
            given["provider"], given["model"], _midnight(given["first"]), _midnight(given["last"] + timedelta(days=1))
        )


class ReasonForm(forms.Form):
    """Why the ledger is corrected."""

    reason = forms.CharField(max_length=200, help_text="Recorded in the audit log of each affected organization.")


def _nano(amount: Decimal | None) -> int | None:
    return None if amount is None else nano_of(amount)


def _dollars_of(nano: int | None) -> str | None:
    return None if nano is None else f"{Decimal(nano).scaleb(-9).normalize():f}"


def _span(text: str) -> dict[str, str]:
    begin, _, end = text.partition("-")
    return {"from": begin.strip(), "to": end.strip()}


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time())).astimezone(UTC)
