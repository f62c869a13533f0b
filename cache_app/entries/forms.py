"""Forms of the entry pages."""

from typing import Any

from django import forms
from django.http import QueryDict

from aiinfra.names import normal_name, normal_names
from cache_app.entries.screens import Narrowed
from cost_app import create_cost_optimizer

TAGS, MODEL, EVERYTHING = "tags", "model", "everything"
WORD_MAX = 200
MODELS = {"list": "known-models", "autocomplete": "off", "placeholder": "provider/model", "spellcheck": "false"}


def _word(**options: Any) -> forms.CharField:
    attrs = {"autocomplete": "off", "spellcheck": "false", **options.pop("attrs", {})}
    return forms.CharField(required=False, max_length=WORD_MAX, widget=forms.TextInput(attrs=attrs), **options)


class EntryFilterForm(forms.Form):
    """List filters."""

    id = _word(label="Entry", attrs={"type": "search", "data-search": "", "placeholder": "Paste the full ID"})
    tag = _word()
    model = _word(attrs=MODELS)

    def chosen(self) -> dict[str, str]:
        """The valid, non-empty filters, for a URL."""
        self.is_valid()
        return {name: value.strip() for name, value in self.cleaned_data.items() if value.strip()}

    def narrowed(self) -> Narrowed:
        """The same, as a filter for the list."""
        chosen = self.chosen()
        return Narrowed(chosen.get("id", ""), normal_name(chosen.get("tag", "")), chosen.get("model", ""))


class ClearForm(forms.Form):
    """Which entries to remove. Removing all requires typing the organization's name."""

    what = forms.ChoiceField(
        label="Remove",
        choices=[
            (TAGS, "Entries with any of these tags"),
            (MODEL, "All answers of a model"),
            (EVERYTHING, "All entries of the organization"),
        ],
        initial=TAGS,
        widget=forms.RadioSelect,
    )
    tags = _word(help_text="Separated by commas.")
    model = _word(attrs=MODELS)
    confirmation = _word(label="Type the organization's name")

    def __init__(self, data: QueryDict | None = None, *, name: str) -> None:
        super().__init__(data, auto_id="clear_%s")
        self.name = name
        self.fields["confirmation"].help_text = f"Type {name} exactly as shown."

    def clean_tags(self) -> list[str]:
        """Without duplicates."""
        return normal_names(self.cleaned_data["tags"].split(","))

    def clean(self) -> dict[str, Any]:
        """The fields that the choice needs are filled in."""
        what, data = self.cleaned_data.get("what"), self.cleaned_data
        if what == TAGS and not data.get("tags") and "tags" not in self.errors:
            self.add_error("tags", "Enter at least one tag.")
        if what == MODEL and not all(data.get("model", "").strip().partition("/")):
            self.add_error("model", "Enter a model as provider/model.")
        if what == EVERYTHING and data.get("confirmation", "").strip() != self.name:
            self.add_error("confirmation", f"Type {self.name} to remove every entry.")
        return data

    @property
    def chosen_tags(self) -> list[str]:
        """The tags of a valid form."""
        return self.cleaned_data["tags"] if self.cleaned_data["what"] == TAGS else []

    @property
    def chosen_model(self) -> tuple[str, str] | None:
        """Provider and model of a valid form."""
        provider, _, model = self.cleaned_data["model"].strip().partition("/")
        return (provider, model) if self.cleaned_data["what"] == MODEL else None

    @property
    def is_everything(self) -> bool:
        """Whether a valid form removes everything."""
        return bool(self.cleaned_data["what"] == EVERYTHING)


def known_models() -> list[str]:
    """Suggestions: the models that have a price. One query."""
    return [f"{provider}/{model}" for provider, model in create_cost_optimizer().priced_models()]
