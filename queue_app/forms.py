"""What people fill in on the operator's pages."""

from collections.abc import Iterable

from django import forms
from django.core.exceptions import ValidationError

from cost_app import create_cost_optimizer
from queue_app.models import Priority, Status
from queue_app.requests import RequestFilter

PRIORITIES = [(priority.name.lower(), priority.label) for priority in sorted(Priority, reverse=True)]


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
    status = forms.ChoiceField(required=False, choices=[("", "Any"), *Status.choices])
    priority = forms.ChoiceField(required=False, choices=[("", "Any"), *PRIORITIES])
    provider = forms.ChoiceField(required=False)
    model = forms.ChoiceField(required=False)
    user = forms.CharField(required=False, max_length=128)
    conversation = forms.CharField(required=False, max_length=128)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        priced = create_cost_optimizer().priced_models()
        self.fields["provider"].choices = _any_of(provider for provider, _ in priced)  # type: ignore[attr-defined]
        self.fields["model"].choices = _any_of(model for _, model in priced)  # type: ignore[attr-defined]

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
            status=chosen.get("status", ""),
            priority=Priority[chosen["priority"].upper()] if "priority" in chosen else None,
            provider=chosen.get("provider", ""),
            model=chosen.get("model", ""),
            user_ref=chosen.get("user", ""),
            conversation_id=chosen.get("conversation", ""),
            request_id=chosen.get("id", ""),
        )


def _any_of(names: Iterable[str]) -> list[tuple[str, str]]:
    return [("", "Any"), *((name, name) for name in sorted(set(names)))]
