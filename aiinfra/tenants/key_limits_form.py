"""What an API key may do as form fields."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from django import forms

from aiinfra.edit_forms import EditForm
from aiinfra.idempotency import digest_of
from aiinfra.tenants.key_access import DOORS, PRIORITIES, KeyAccess, models_of, tags_of
from aiinfra.tenants.key_limits import (
    CONCURRENT_MAX,
    DOLLARS_MAX,
    NANO,
    REQUESTS_MAX,
    TOKENS_MAX,
    KeyLimits,
    Network,
    networks_of,
)
from aiinfra.tenants.models import ApiKey
from aiinfra.webhook_urls import LENGTH_MAX, check_url, host_of


def _checked(check: Callable[[list[str]], tuple[str, ...]], texts: list[str]) -> tuple[str, ...]:
    try:
        return check(texts)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from None


def _whole(label: str, most: int, help_text: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=most, help_text=help_text)


class KeyLimitsFields(forms.Form):
    """What a key may do; an empty field is no limit of the key's own."""

    requests_per_minute = _whole("Requests per minute", REQUESTS_MAX, "Empty: the limit of this installation.")
    concurrent_requests = _whole(
        "Requests at a time",
        CONCURRENT_MAX,
        "Open event streams and waiting calls count. A batch has at most that many lines in the queue.",
    )
    tokens_per_minute = _whole(
        "Tokens per minute", TOKENS_MAX, "A request counts with its prompt and the longest answer that it allows."
    )
    dollars_per_minute = forms.DecimalField(
        label="US dollars per minute",
        required=False,
        min_value=Decimal("0.000001"),
        max_value=Decimal(DOLLARS_MAX),
        max_digits=16,
        decimal_places=9,
        help_text="A request counts with the maximum cost of its call.",
    )
    allowed_networks = forms.CharField(
        label="Allowed addresses",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "203.0.113.7, 10.0.0.0/8", "spellcheck": "false"}),
        help_text="IP addresses and networks in CIDR notation. Empty: the key works from anywhere.",
    )

    allowed_models = forms.CharField(
        label="Allowed models",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "gpt-4o, deepseek/*", "spellcheck": "false"}),
        help_text="Model names, with or without the provider. * matches any text. Empty: all models.",
    )
    allowed_doors = forms.MultipleChoiceField(
        label="Allowed endpoints",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=list(DOORS.items()),
        help_text="Where the key can send calls. Select none to allow all.",
    )
    default_tags = forms.CharField(
        label="Default tags",
        required=False,
        max_length=1000,
        help_text="Added to the tags of each call, separated by commas.",
    )
    default_priority = forms.ChoiceField(
        label="Default priority",
        required=False,
        choices=[("", "Normal"), *((name, name.capitalize()) for name in PRIORITIES if name != "normal")],
        help_text="Used for calls that don't specify a priority.",
    )
    webhook = forms.CharField(
        label="Webhook",
        required=False,
        max_length=LENGTH_MAX,
        widget=forms.TextInput(attrs={"placeholder": "https://example.com/hooks/ai", "spellcheck": "false"}),
        help_text="The https URL that receives a signed POST when a request ends. See Notifications.",
    )

    def clean_allowed_models(self) -> tuple[str, ...]:
        """Parse names of models, which commas, spaces or lines separate."""
        return _checked(models_of, re.split(r"[,\s]+", self.cleaned_data["allowed_models"]))

    def clean_default_tags(self) -> tuple[str, ...]:
        """Parse tags, which commas or lines separate."""
        return _checked(tags_of, re.split(r"[,\n]+", self.cleaned_data["default_tags"]))

    def clean_webhook(self) -> str:
        """Check the URL, if there is one."""
        url: str = self.cleaned_data["webhook"]
        if url:
            try:
                check_url(url)
            except ValueError as error:
                raise forms.ValidationError(str(error)) from None
        return url

    def clean_allowed_networks(self) -> tuple[Network, ...]:
        """Parse addresses, which commas, spaces or lines separate."""
        try:
            return networks_of(filter(None, re.split(r"[,\s]+", self.cleaned_data["allowed_networks"])))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def chosen_limits(self) -> KeyLimits:
        """The limits of a valid form."""
        dollars = self.cleaned_data["dollars_per_minute"]
        return KeyLimits(
            requests_per_minute=self.cleaned_data["requests_per_minute"],
            concurrent_requests=self.cleaned_data["concurrent_requests"],
            tokens_per_minute=self.cleaned_data["tokens_per_minute"],
            nano_per_minute=None if dollars is None else int(dollars * NANO),
            networks=self.cleaned_data["allowed_networks"],
            access=KeyAccess(
                models=self.cleaned_data["allowed_models"],
                doors=tuple(self.cleaned_data["allowed_doors"]),
                tags=self.cleaned_data["default_tags"],
                priority=self.cleaned_data["default_priority"],
                webhook=self.cleaned_data["webhook"],
            ),
        )


NEW_SECRET, NO_SECRET = "new", "none"
SECRET_OF_ORGANIZATION = [("", "The organization's"), (NEW_SECRET, "Create one for this key")]
SECRET_OF_KEY = [("", "Keep this key's"), (NEW_SECRET, "Replace this key's"), (NO_SECRET, "Use the organization's")]


class KeyLimitsForm(KeyLimitsFields, EditForm):
    """The limits of an existing key. Its webhook and the secret that signs it are not shown, but kept or replaced."""

    without_webhook = forms.BooleanField(label="Remove the webhook", required=False)
    webhook_secret = forms.ChoiceField(
        label="Webhook signing secret",
        required=False,
        help_text="Signs the webhooks of all requests of this key. A new secret is shown once, after you save.",
    )

    def __init__(self, *args: object, key: ApiKey, **kwargs: object) -> None:
        limits = key.limits
        initial = {
            "requests_per_minute": limits.requests_per_minute,
            "concurrent_requests": limits.concurrent_requests,
            "tokens_per_minute": limits.tokens_per_minute,
            "dollars_per_minute": None if limits.nano_per_minute is None else Decimal(limits.nano_per_minute) / NANO,
            "allowed_networks": ", ".join(map(str, limits.networks)),
            "allowed_models": ", ".join(limits.access.models),
            "allowed_doors": list(limits.access.doors),
            "default_tags": ", ".join(limits.access.tags),
            "default_priority": limits.access.priority,
        }
        super().__init__(*args, initial=initial, **kwargs)  # type: ignore[arg-type,misc]
        self._secret: str | None = key.webhook_secret
        choices = SECRET_OF_ORGANIZATION if self._secret is None else SECRET_OF_KEY
        self.fields["webhook_secret"].choices = choices  # type: ignore[attr-defined]
        self._webhook = limits.access.webhook
        if self._webhook:
            self.fields["webhook"].help_text = f"Requests are reported to {host_of(self._webhook)}. Empty: no change."
        else:
            del self.fields["without_webhook"]

    def chosen_limits(self) -> KeyLimits:
        """The limits of a valid form."""
        limits = super().chosen_limits()
        kept = "" if self.cleaned_data.get("without_webhook") else self._webhook
        return replace(limits, access=replace(limits.access, webhook=limits.access.webhook or kept))

    def _stored(self, name: str) -> str:
        """A secret that someone else has replaced makes the form outdated."""
        secret = digest_of(self._secret) if name == "webhook_secret" else ""
        return super()._stored(name) + secret
