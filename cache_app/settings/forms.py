"""The form of the cache settings."""

from decimal import Decimal
from typing import Any

from django import forms

from aiinfra.edit_forms import EditForm
from aiinfra.money import NANO, dollars
from cache_app.embedding.base import Scale
from cache_app.models import CacheMode, CachePolicy, OtherLanguages, SharedWith

COLUMNS = ["mode", "threshold", "shared_with", "ttl_hours", "max_entries", "max_temperature", "other_languages"]
MODES = [
    (CacheMode.SEMANTIC, "Answer exact and semantic matches"),
    (CacheMode.EXACT, "Answer exact matches only: fewer hits, almost never wrong"),
    (
        CacheMode.SHADOW,
        "Shadow: call the provider every time, and compare its answer with the cached one",
    ),
    (CacheMode.OFF, "Off: serve and store nothing"),
]
SHARED = [
    (SharedWith.ORGANIZATION, "Everyone in the organization"),
    (SharedWith.API_KEY, "Callers with the same API key"),
    (SharedWith.USER, "The same user"),
]
LANGUAGES = [
    (OtherLanguages.EXACT, "Answer exact matches only"),
    (OtherLanguages.SIMILAR, "Also answer semantic matches: negations and opposites are not detected"),
]
PERCENT = Decimal(100)


def _number() -> forms.NumberInput:
    """Accepts every decimal that a setting can have: the browser must not reject what was rendered."""
    return forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"})


def _percent(**options: Any) -> forms.DecimalField:
    return forms.DecimalField(max_digits=12, decimal_places=9, widget=_number(), **options)


class PolicyForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An organization's settings. Shares are percents here, amounts are dollars."""

    mode = forms.ChoiceField(label="Mode", choices=MODES, widget=forms.RadioSelect)
    shared_with = forms.ChoiceField(
        label="Shared with",
        choices=SHARED,
        help_text="Changing this empties the cache.",
    )
    other_languages = forms.ChoiceField(
        label="Other languages",
        choices=LANGUAGES,
        help_text=(
            "The guards support English and, to a lesser degree, German, French, Spanish, Italian, Portuguese, and "
            "Dutch. Other languages are not supported, and the default embedder is trained on English."
        ),
    )
    error_target = _percent(
        label="Maximum wrong answers (%)",
        min_value=Decimal("0.1"),
        max_value=Decimal(20),
        help_text="Of semantic matches. Proposed thresholds stay below it. You apply them.",
    )
    reask_share = _percent(
        label="Sampled re-checks (%)",
        min_value=Decimal(0),
        max_value=Decimal(20),
        help_text="Random hits that are also sent to the provider, to measure wrong answers. 0 turns this off.",
    )
    reask_day = forms.DecimalField(
        label="Daily re-check budget (USD)",
        min_value=0,
        max_value=Decimal(9_999_999),
        max_digits=18,
        decimal_places=9,
        widget=_number(),
    )

    class Meta:
        model = CachePolicy
        fields = COLUMNS
        help_texts = {
            "ttl_hours": "Entries expire after this time, however often they are used. Applies to new entries.",
            "max_entries": "Least recently used entries are evicted; pinned entries stay.",
            "max_temperature": "Calls above it get exact matches only: they ask for variety.",
        }
        labels = {"max_entries": "Maximum entries"}

    def __init__(self, *args: Any, scale: Scale, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        policy = self.instance
        self.fields["error_target"].initial = _shown(policy.error_target)
        self.fields["reask_share"].initial = _shown(policy.reask_share)
        self.fields["reask_day"].initial = Decimal(dollars(policy.reask_day_nano))
        self.fields["reask_day"].help_text = "Each re-check counts at the cost of the original call."
        self.fields["threshold"].help_text = (
            f"Minimum similarity between a question and a cached one, from 0.50 to 1.00. "
            f"Leave empty for the embedder's default, {scale.edge:.2f}."
        )
        for name in ("threshold", "max_temperature"):
            self.fields[name].widget.attrs.update({"step": "any", "inputmode": "decimal"})

    def clean(self) -> dict[str, Any]:
        """Re-checks need a budget."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("reask_share") and data.get("reask_day") == 0:
            self.add_error("reask_day", "Enter a daily budget, or set the sample to 0.")
        return data

    def changes(self) -> dict[str, Any]:
        """The new values of a valid form, by column."""
        data = self.cleaned_data
        return {
            **{name: data[name] for name in COLUMNS},
            "error_target": float(data["error_target"] / PERCENT),
            "reask_share": float(data["reask_share"] / PERCENT),
            "reask_day_nano": int(data["reask_day"] * NANO),
        }


def _shown(share: float) -> Decimal:
    """All its digits, so that saving the displayed value changes nothing."""
    return Decimal(f"{(Decimal(str(share)) * PERCENT).normalize():f}")
