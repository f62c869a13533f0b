"""Admin forms for aliases and tool fees."""

from typing import Any

from django import forms

from aiinfra.edit_forms import RecordForm
from cost_app.models import ModelAlias, ToolFee
from cost_app.prices.naming import check_alias, check_fee
from cost_app.prices.shipped import nano_of
from cost_app.prices.terms import PriceError


class ModelAliasForm(RecordForm):
    """A new alias, or the end of one."""

    class Meta:
        model = ModelAlias
        fields = ["provider", "alias", "model", "effective_from", "source"]

    def clean(self) -> dict[str, Any]:
        """Check that the names are usable."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                check_alias(ModelAlias(**data))
            except PriceError as error:
                raise forms.ValidationError(str(error)) from error
        return data


class ToolFeeForm(RecordForm):
    """A new version of a fee, in dollars."""

    dollars_per_use = forms.DecimalField(min_value=0, max_digits=16, decimal_places=9)

    class Meta:
        model = ToolFee
        fields = ["provider", "model", "tool", "effective_from", "source"]

    def clean(self) -> dict[str, Any]:
        """Check that the provider exists, and convert dollars to nano-dollars."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            self.instance.nano_per_use = nano_of(data["dollars_per_use"])
            try:
                check_fee(ToolFee(**{name: data[name] for name in ("provider", "model", "tool", "effective_from")}))
            except PriceError as error:
                raise forms.ValidationError(str(error)) from error
        return data
