"""The form of the playground. The browser sends its values to `/v1/chat/completions`, which validates them."""

from collections.abc import Iterable

from django import forms

from aiinfra.tenants.key_access import PRIORITIES

TOKENS = 256
CACHE_MODES = [
    ("use", "Use the cache"),
    ("bypass", "Off: always call the model"),
    ("refresh", "Refresh: call the model and store the answer"),
    ("only", "Only the cache: never call the model"),
]


class PlaygroundForm(forms.Form):
    """A call with one question."""

    model = forms.ChoiceField()
    prompt = forms.CharField(
        label="Message",
        initial="Explain what a semantic cache does, in two sentences.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    system = forms.CharField(label="System prompt", required=False, widget=forms.Textarea(attrs={"rows": 2}))
    max_tokens = forms.IntegerField(label="Maximum output tokens", min_value=1, max_value=131_072, initial=TOKENS)
    priority = forms.ChoiceField(choices=[(name, name.capitalize()) for name in PRIORITIES], initial="normal")
    cache = forms.ChoiceField(choices=CACHE_MODES)
    tags = forms.CharField(
        required=False, max_length=200, initial="playground", help_text="Separated by commas. Costs are shown per tag."
    )

    def __init__(self, *, aliases: Iterable[str], models: Iterable[str]) -> None:
        super().__init__(auto_id="play-%s")
        self.fields["model"].choices = [  # type: ignore[attr-defined]
            ("Aliases", [(name, name) for name in aliases]),
            ("Models", [(name, name) for name in models]),
        ]
        self.fields["model"].initial = "cheap"
