"""Forms for model aliases."""

from django import forms

from aiinfra.edit_forms import EditForm
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.model_names import check_target
from aiinfra.providers.aliases import NAME_PATTERN, TARGET_MAX
from aiinfra.providers.models import ModelAlias


class TargetFields(forms.Form):
    """The model that an alias stands for: any that `/api/ai/aliases` accepts."""

    model = forms.CharField(
        max_length=TARGET_MAX,
        help_text="The name of a model, or provider/model.",
        widget=forms.TextInput(attrs={"list": "known-models", "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_model(self) -> str:
        """Check that calls can use the model."""
        name: str = self.cleaned_data["model"]
        try:
            check_target(name)
        except ApiError:
            raise forms.ValidationError(
                "This model has no price or its provider is not configured. Select one from the list."
            ) from None
        return name


class AliasForm(TargetFields):
    """A new alias."""

    name = forms.RegexField(
        NAME_PATTERN,
        max_length=64,
        help_text="The name that clients send. A built-in name redefines that alias.",
        error_messages={"invalid": "Use letters, digits, and . _ : - and begin with a letter or digit."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order = ["name", "model"]

    def clean_name(self) -> str:
        """Reject an existing name. To change an alias, use `AliasTargetForm`."""
        name: str = self.cleaned_data["name"]
        if ModelAlias.objects.filter(name=name).exists():
            raise forms.ValidationError("This alias already exists. Change it in the list.")
        return name


class AliasTargetForm(TargetFields, EditForm):
    """The model of an existing alias."""

    def __init__(self, *args: object, alias: ModelAlias, **kwargs: object) -> None:
        super().__init__(*args, initial={"model": alias.target}, **kwargs)  # type: ignore[arg-type,misc]
