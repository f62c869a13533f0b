"""Forms for channels."""

from django import forms

from aiinfra.names import validate_visible
from aiinfra.notifications.channels import ChannelError, check_target, why_unsendable
from aiinfra.notifications.models import Channel, ChannelKind

REQUESTS_HELP = (
    "Request webhooks call the URL that is set on a request or an API key when the request ends. Add them once to get "
    "the secret that signs them."
)


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A new channel."""

    name = forms.CharField(max_length=100, validators=[validate_visible])

    class Meta:
        model = Channel
        fields = ["kind", "name", "target", "min_severity"]
        widgets = {"target": forms.TextInput}
        labels = {"target": "Address", "min_severity": "Minimum severity"}
        help_texts = {"target": "An email address, or the https URL of a webhook or a Slack incoming webhook."}

    def __init__(self, *args: object, of_installation: bool = False, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        kinds = [choice for choice in ChannelKind.choices if not of_installation or choice[0] != ChannelKind.REQUESTS]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
        if not of_installation:
            self.fields["kind"].help_text = REQUESTS_HELP

    def clean(self) -> None:
        """Check that this installation can send over the channel, and that the address matches its kind."""
        target, kind = self.cleaned_data.get("target"), self.cleaned_data.get("kind")
        if kind not in ChannelKind.values:
            return
        if problem := why_unsendable(kind):
            self.add_error("kind", problem)
        if kind == ChannelKind.REQUESTS:
            self.cleaned_data["target"] = ""  # what was typed before this kind hid the field
            return
        if target is None:
            return
        try:
            check_target(kind, target)
        except ChannelError as error:
            self.add_error("target", str(error))
