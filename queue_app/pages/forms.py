"""What people fill in on the operator's pages."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from aiinfra.edit_forms import RecordForm
from aiinfra.providers.base import ErrorCode
from aiinfra.providers.registry import provider_names
from cost_app import create_cost_optimizer
from cost_app.facade import ProviderLimit
from queue_app.models import Priority, Status
from queue_app.processing.outcomes import WORKER_LOST
from queue_app.queries import RequestFilter

PRIORITIES = [(priority.name.lower(), priority.label) for priority in sorted(Priority, reverse=True)]
HELD = "held"
"""In the list of statuses: pending, and the next attempt is not due."""
ERRORS = sorted([*ErrorCode, WORKER_LOST])


class LaneForm(forms.Form):
    """One priority, or all where it is left out."""

    priority = forms.ChoiceField(required=False, choices=[("", "All"), *PRIORITIES])

    def chosen(self) -> Priority | None:
        """The priority of a valid form."""
        name: str = self.cleaned_data["priority"]
        return Priority[name.upper()] if name else None


class RequestFilterForm(forms.Form):
    """Which requests to list; a value that makes no sense narrows nothing."""

    id = forms.CharField(
        required=False,
        max_length=100,
        label="Request id",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Paste an id", "data-search": True}),
    )
    status = forms.ChoiceField(required=False, choices=[("", "Any"), *Status.choices, (HELD, "Held for a retry")])
    priority = forms.ChoiceField(required=False, choices=[("", "Any"), *PRIORITIES])
    provider = forms.ChoiceField(required=False)
    model = forms.ChoiceField(required=False)
    failed = forms.ChoiceField(required=False, label="Failed at")
    error = forms.ChoiceField(required=False, choices=[("", "Any"), *((code, code) for code in ERRORS)])
    user = forms.CharField(required=False, max_length=128)
    conversation = forms.CharField(required=False, max_length=128)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        cost = create_cost_optimizer()
        priced = cost.priced_models()
        called = [f"{state.provider}/{state.model}" for state in cost.model_states()]
        choices = {
            "provider": [provider for provider, _ in priced],
            "model": [model for _, model in priced],
            "failed": [*called, *(f"{provider}/{model}" for provider, model in priced)],
        }
        for name, values in choices.items():
            self.fields[name].choices = _any_of(values)  # type: ignore[attr-defined]

    def chosen(self) -> dict[str, str]:
        """The fields that make sense and are filled in, as they stand in the address."""
        try:
            self.full_clean()
        except ValidationError:
            return {}
        return {name: value for name, value in self.cleaned_data.items() if value}

    def narrowed(self) -> RequestFilter:
        """The same for the query."""
        chosen = self.chosen()
        return RequestFilter(
            status="" if chosen.get("status") == HELD else chosen.get("status", ""),
            held_only=chosen.get("status") == HELD,
            failed_at=chosen.get("failed", ""),
            error_code=chosen.get("error", ""),
            priority=Priority[chosen["priority"].upper()] if "priority" in chosen else None,
            provider=chosen.get("provider", ""),
            model=chosen.get("model", ""),
            user_ref=chosen.get("user", ""),
            conversation_id=chosen.get("conversation", ""),
            request_id=chosen.get("id", ""),
        )


class ProviderLimitForm(RecordForm):
    """A limit of something that can be called: a mistyped name would limit nothing."""

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
            self.add_error("model", "The price book has no such model of this provider.")
        return cleaned


def _any_of(names: Iterable[str]) -> list[tuple[str, str]]:
    return [("", "Any"), *((name, name) for name in sorted(set(names)))]
