"""Forms for the finance pages."""

from typing import Any

from django import forms
from django.core.files import File

from cost_app.finance.focus import PROVIDER_NAMES
from cost_app.finance.invoices.layouts import LAYOUTS
from cost_app.finance.invoices.table import BYTES_MAX
from cost_app.finance.ranges import range_error

LEDGER, FOCUS = "ledger", "focus"
KINDS = [(LEDGER, "Ledger: every entry"), (FOCUS, "FOCUS 1.2: by day, model, key, user, and token class")]


def _day() -> forms.Widget:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class ExportForm(forms.Form):
    """An inclusive range of days in the organization's calendar."""

    kind = forms.ChoiceField(label="File", choices=KINDS)
    first = forms.DateField(label="From", widget=_day())
    last = forms.DateField(label="To", widget=_day())

    def clean(self) -> dict[str, Any]:
        """Check that the days are in order and valid in any time zone."""
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        if first and last and (found := range_error(first, last)):
            self.add_error(*found)
        return self.cleaned_data


class InvoiceForm(forms.Form):
    """A provider's usage file."""

    provider = forms.ChoiceField(choices=[(name, PROVIDER_NAMES[name]) for name in LAYOUTS])
    file = forms.FileField(
        label="CSV file",
        allow_empty_file=True,
        help_text="As exported from the provider's console, at most 10 MB and 200,000 rows.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )

    def clean_file(self) -> "File[bytes]":
        """Reject several files, and one that is too large before reading it."""
        if len(self.files.getlist("file")) > 1:
            raise forms.ValidationError("Choose one file.")
        file: File[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > BYTES_MAX:
            raise forms.ValidationError("The file is larger than 10 MB. Export a shorter period.")
        return file
