"""Forms of the queue pages."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone

from aiinfra.edit_forms import RecordForm
from aiinfra.local_minutes import MinuteField, minute_text
from aiinfra.names import normal_name
from aiinfra.providers.base import ErrorCode
from aiinfra.providers.registry import provider_names
from aiinfra.tenants.models import ApiKey
from cost_app import create_cost_optimizer
from cost_app.facade import ProviderLimit
from queue_app.models import Priority, Status
from queue_app.processing.outcomes import WORKER_LOST
from queue_app.request_lists import RequestFilter

PRIORITIES = [(priority.name.lower(), priority.label) for priority in sorted(Priority, reverse=True)]
HELD = "held"
"""An extra choice in the list of statuses: pending, and the next attempt is not due yet."""
ERRORS = sorted([*ErrorCode, WORKER_LOST])
YEARS = [MinValueValidator(datetime(2000, 1, 1, tzinfo=UTC)), MaxValueValidator(datetime(2999, 1, 1, tzinfo=UTC))]
KEYS_MAX = 500
MAIN_FIELDS = ("status", "priority", "provider", "model", "error", "user")


class LaneForm(forms.Form):
    """One priority, or all if omitted."""

    priority = forms.ChoiceField(required=False, choices=[("", "All"), *PRIORITIES])

    def chosen(self) -> Priority | None:
        """The priority of a valid form."""
        name: str = self.cleaned_data["priority"]
        return Priority[name.upper()] if name else None


class RequestFilterForm(forms.Form):
    """Which requests to list. Invalid values do not filter."""

    id = forms.CharField(
        required=False,
        max_length=100,
        label="Request ID",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Paste an ID", "data-search": True}),
    )
    status = forms.ChoiceField(required=False, choices=[("", "Any"), *Status.choices, (HELD, "Held for a retry")])
    priority = forms.ChoiceField(required=False, choices=[("", "Any"), *PRIORITIES])
    provider = forms.ChoiceField(required=False)
    model = forms.ChoiceField(required=False)
    failed = forms.ChoiceField(required=False, label="Failed at")
    error = forms.ChoiceField(required=False, choices=[("", "Any"), *((code, code) for code in ERRORS)])
    user = forms.CharField(required=False, max_length=128)
    conversation = forms.CharField(required=False, max_length=128)
    since = MinuteField(required=False, label="From", validators=YEARS, is_end=False)
    until = MinuteField(required=False, label="To", validators=YEARS, is_end=True)
    key = forms.ChoiceField(required=False, label="API key")
    tag = forms.CharField(required=False, max_length=64)
    cached = forms.ChoiceField(required=False, choices=[("", "Any"), ("yes", "From cache"), ("no", "Not from cache")])
    order = forms.ChoiceField(required=False, choices=[("", "Newest first"), ("oldest", "Oldest first")])

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        cost = create_cost_optimizer()
        priced = cost.priced_models()
        called = [(state.provider, state.model) for state in cost.model_states()]
        known = {"provider": [each[0] for each in priced], "model": [each[1] for each in priced]}
        known["failed"] = [f"{provider}/{model}" for provider, model in priced]
        offered = {"provider": [each[0] for each in called], "model": [each[1] for each in called]}
        offered["failed"] = [f"{provider}/{model}" for provider, model in called]
        for name, values in offered.items():
            given = self.data.get(name)
            self.fields[name].choices = _any_of([*values, given] if given in known[name] else values)  # type: ignore[attr-defined]
        keys = ApiKey.objects.order_by("name").values_list("key_id", "name")[:KEYS_MAX]
        self.fields["key"].choices = [("", "Any"), *keys]  # type: ignore[attr-defined]

    def main_fields(self) -> list[forms.BoundField]:
        """The fields next to the search field that are always visible."""
        return [self[name] for name in MAIN_FIELDS]

    def more_fields(self) -> list[forms.BoundField]:
        """The other ones."""
        return [self[name] for name in self.fields if name not in {"id", *MAIN_FIELDS}]

    def has_more(self) -> bool:
        """Whether one of these is filled in."""
        return any(field.name in self.chosen() for field in self.more_fields())

    def chosen(self) -> dict[str, str]:
        """The valid, non-empty fields, as they appear in the URL."""
        try:
            self.full_clean()
        except ValidationError:
            return {}
        return {name: _in_address(value) for name, value in self.cleaned_data.items() if value}

    def narrowed(self) -> RequestFilter:
        """The same, as a filter for the query."""
        chosen = self.chosen()
        cached = chosen.get("cached")
        return RequestFilter(
            status="" if chosen.get("status") == HELD else chosen.get("status", ""),
            held_only=chosen.get("status") == HELD,
            failed_at=chosen.get("failed", ""),
            error_code=chosen.get("error", ""),
            priority=Priority[chosen["priority"].upper()] if "priority" in chosen else None,
            provider=chosen.get("provider", ""),
            model=chosen.get("model", ""),
            user_ref=normal_name(chosen.get("user", "")),
            conversation_id=chosen.get("conversation", ""),
            request_id=chosen.get("id", ""),
            since=self.cleaned_data.get("since"),
            until=self.cleaned_data.get("until"),
            key_id=chosen.get("key", ""),
            tag=normal_name(chosen.get("tag", "")),
            cached=None if cached is None else cached == "yes",
            oldest_first="order" in chosen,
        )


class ProviderLimitForm(RecordForm):
    """A limit for an existing provider or model: a typo would limit nothing."""

    class Meta:
        model = ProviderLimit
        fields = ["provider", "model", "requests_per_minute", "expected_latency_ms"]

    def clean(self) -> dict[str, Any]:
        """Check the names against the configured providers and the price book."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        provider, model = cleaned.get("provider"), cleaned.get("model")
        priced = create_cost_optimizer().priced_models()
        if provider and provider not in {*provider_names(), *(name for name, _ in priced)}:
            self.add_error("provider", "No provider has this name.")
        elif model and (provider, model) not in priced:
            self.add_error("model", "The price book has no model with this name for this provider.")
        return cleaned


def _in_address(value: str | datetime) -> str:
    return minute_text(value, timezone.get_current_timezone()) if isinstance(value, datetime) else value


def _any_of(names: Iterable[str]) -> list[tuple[str, str]]:
    return [("", "Any"), *((name, name) for name in sorted(set(names)))]
