"""What people fill in about the cache's rules."""

from decimal import Decimal
from typing import Any

from django import forms

from aiinfra.edit_forms import EditForm
from aiinfra.money import NANO, dollars
from cache_app.embedding.base import Scale
from cache_app.models import CacheMode, CachePolicy, OtherLanguages, SharedWith

COLUMNS = ["mode", "threshold", "shared_with", "ttl_hours", "max_entries", "max_temperature", "other_languages"]
MODES = [
    (CacheMode.SEMANTIC, "Answer equal and similar questions"),
    (CacheMode.EXACT, "Answer equal questions only: serves less, and is hardly ever wrong"),
    (
        CacheMode.SHADOW,
        "Shadow: ask the provider each time, and compare with what the cache would have said",
    ),
    (CacheMode.OFF, "Off: answer nothing and keep nothing"),
]
SHARED = [
    (SharedWith.ORGANIZATION, "Everybody in the organization"),
    (SharedWith.API_KEY, "Callers with the same API key"),
    (SharedWith.USER, "The same user"),
]
LANGUAGES = [
    (OtherLanguages.EXACT, "Answer equal questions only"),
    (OtherLanguages.SIMILAR, "Answer similar questions, too: negations and opposites are not noticed"),
]
PERCENT = Decimal(100)


def _number() -> forms.NumberInput:
    """Takes every decimal that a rule can have: the browser must not refuse what was rendered."""
    return forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"})


def _percent(**options: Any) -> forms.DecimalField:
    return forms.DecimalField(max_digits=12, decimal_places=9, widget=_number(), **options)


class PolicyForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An organization's rules. Shares are percents here, amounts dollars."""

    mode = forms.ChoiceField(label="What the cache does", choices=MODES, widget=forms.RadioSelect)
    shared_with = forms.ChoiceField(
        label="Whose questions an answer may serve",
        choices=SHARED,
        help_text="A change starts anew: answers that were kept under another rule are not found any more.",
    )
    other_languages = forms.ChoiceField(
        label="Other languages",
        choices=LANGUAGES,
        help_text=(
            "The guards know English, and to a lesser degree German, French, Spanish, Italian, Portuguese, and Dutch. "
            "For all other languages they have no words, and the default embedder is trained on English."
        ),
    )
    error_target = _percent(
        label="Wrong answers allowed, percent",
        min_value=Decimal("0.1"),
        max_value=Decimal(20),
        help_text="Of the answers to similar questions. Thresholds are proposed that keep it; a person applies them.",
    )
    reask_share = _percent(
        label="Hits asked again, percent",
        min_value=Decimal(0),
        max_value=Decimal(20),
        help_text="Chosen by chance and asked in the background, to measure how often the cache is wrong. 0 for none.",
    )
    reask_day = forms.DecimalField(
        label="What asking again may cost a day",
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
            "ttl_hours": "An answer leaves then, however often it was used. Holds for what is stored from now on.",
            "max_entries": "Beyond it what was used least recently leaves; pinned entries stay.",
            "max_temperature": "Calls above it are never answered by meaning: who asks for variety gets it.",
        }
        labels = {"max_entries": "Entries kept at most"}

    def __init__(self, *args: Any, scale: Scale, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        policy = self.instance
        self.fields["error_target"].initial = _shown(policy.error_target)
        self.fields["reask_share"].initial = _shown(policy.reask_share)
        self.fields["reask_day"].initial = Decimal(dollars(policy.reask_day_nano))
        self.fields["reask_day"].help_text = "In US dollars. What a call cost when it was answered counts."
        self.fields["threshold"].help_text = (
            f"Similarity from which on a question may be answered, from 0.50 to 1.00. "
            f"Empty for the embedder's own, {scale.edge:.2f}."
        )
        for name in ("threshold", "max_temperature"):
            self.fields[name].widget.attrs.update({"step": "any", "inputmode": "decimal"})

    def clean(self) -> dict[str, Any]:
        """Asking again needs money."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("reask_share") and data.get("reask_day") == 0:
            self.add_error("reask_day", "Say what it may cost, or ask none again.")
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
    """All its digits, so that saving what is shown changes nothing."""
    return Decimal(f"{(Decimal(str(share)) * PERCENT).normalize():f}")
