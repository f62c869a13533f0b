"""Forms for spend policies."""

import json
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from aiinfra.edit_forms import EditForm
from aiinfra.money import NANO, dollars
from cost_app.models import CostPolicy, RequestClass
from cost_app.prices.lookup import priced_models

FIELDS = [
    "unpriced_models",
    "bound_mode",
    "month_starts_on",
    "spike_percent",
    "hourly_days",
    "daily_days",
    "weekly_weeks",
    "monthly_months",
]
ALL_CLASSES = [each.value for each in RequestClass]


class PolicyForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An organization's spend policy."""

    spike_floor = forms.DecimalField(
        label="Minimum spike (USD)",
        min_value=Decimal(0),
        max_digits=18,
        decimal_places=9,
        help_text="Smaller increases raise no alert.",
    )
    allowed = forms.CharField(
        label="Allowed models",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=(
            "For downgrades and recommendations. One model per line, such as deepseek/deepseek-chat, optionally "
            "followed by the classes it is suitable for: deepseek/deepseek-chat simple creative. Leave empty to allow "
            "all models."
        ),
    )

    class Meta:
        model = CostPolicy
        fields = FIELDS
        labels = {
            "spike_percent": "Minimum spike (%)",
            "hourly_days": "Hourly figures (days)",
            "daily_days": "Daily figures (days)",
            "weekly_weeks": "Weekly figures (weeks)",
            "monthly_months": "Monthly figures (months)",
        }
        help_texts = {"hourly_days": "How far back figures go, for each length of a period."}

    field_order = [*FIELDS[:4], "spike_floor", *FIELDS[4:]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["spike_floor"].initial = Decimal(dollars(self.instance.spike_floor_nano))
        self.fields["allowed"].initial = "\n".join(map(_line_of, self.instance.allowed_models))

    def clean_allowed(self) -> list[dict[str, Any]]:
        """The models as the policy stores them; rejects an unknown model or class by name.

        A model that left the price book stays allowed until its line is removed.
        """
        lines = [line.split() for line in self.cleaned_data["allowed"].splitlines() if line.strip()]
        named = [(provider, model) for provider, _, model in (words[0].partition("/") for words in lines)]
        known = {f"{provider}/{model}" for provider, model in priced_models(named)}
        known |= {f"{each['provider']}/{each['model']}" for each in self.instance.allowed_models}
        return [_allowed(words, known) for words in lines]

    def changes(self) -> dict[str, Any]:
        """The new values of a valid form, by column."""
        chosen = {name: self.cleaned_data[name] for name in FIELDS}
        floor = int(self.cleaned_data["spike_floor"] * NANO)
        return {**chosen, "spike_floor_nano": floor, "allowed_models": self.cleaned_data["allowed"]}


def _line_of(allowed: dict[str, Any]) -> str:
    classes = allowed.get("classes", ALL_CLASSES)
    name = f"{allowed['provider']}/{allowed['model']}"
    return name if set(classes) == set(ALL_CLASSES) else f"{name} {' '.join(classes)}"


def _allowed(words: list[str], known: set[str]) -> dict[str, Any]:
    name, *classes = words
    if name not in known:
        raise ValidationError(f"{name} is not in the price book.")
    if unknown := [each for each in classes if each not in ALL_CLASSES]:
        raise ValidationError(f"{json.dumps(unknown[0])} is not one of {', '.join(ALL_CLASSES)}.")
    provider, _, model = name.partition("/")
    return {"provider": provider, "model": model, "classes": classes or ALL_CLASSES}
