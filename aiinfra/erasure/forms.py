"""The forms of the privacy page."""

from django import forms
from django.core.validators import MaxValueValidator

from aiinfra.edit_forms import EditForm
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy.retention import longest


class RetentionForm(EditForm):
    """How many days content is kept, up to the installation's limit."""

    content_days = forms.IntegerField(min_value=1, label="Days to keep prompts and answers")
    request_days = forms.IntegerField(min_value=1, label="Days to keep requests")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        for name in ("content_days", "request_days"):
            most, field = getattr(longest(), name), self.fields[name]
            field.validators.append(MaxValueValidator(most))
            field.widget.attrs["max"] = most
            field.help_text = f"1 to {most}, the installation's maximum."

    def clean(self) -> None:
        """Check that content is not kept longer than its request."""
        days = self.cleaned_data
        if days.get("content_days", 0) > days.get("request_days", days.get("content_days", 0)):
            self.add_error("content_days", "Prompts and answers can't be kept longer than their request.")


class EraseForm(forms.Form):
    """Whose content to erase; the organization's slug confirms it."""

    user = forms.CharField(
        required=False,
        max_length=128,
        label="User",
        help_text="The userId that your requests send, or a login name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    everything = forms.BooleanField(required=False, label="Erase the content of all users")
    confirmation = forms.CharField(label="Organization slug", widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: object, organization: Organization, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.organization = organization
        self.fields["confirmation"].help_text = f"Type {organization.slug} to confirm."

    def clean_confirmation(self) -> str:
        """Reject any other text."""
        if self.cleaned_data["confirmation"] != self.organization.slug:
            raise forms.ValidationError(f"Type {self.organization.slug}.")
        return self.organization.slug

    def clean(self) -> None:
        """Check that the form names either one user or everyone."""
        if bool(self.cleaned_data.get("user")) == bool(self.cleaned_data.get("everything")):
            self.add_error("user", "Enter a user, or select all users.")
