"""Forms for recommendations."""

from django import forms

from cost_app.models import RecommendationState, RequestClass
from cost_app.recommendations.provider_choice import LATENCY_WEIGHTS


class StateForm(forms.Form):
    """Which recommendations to list; an invalid value lists the open ones."""

    state = forms.ChoiceField(choices=RecommendationState.choices)

    def chosen(self) -> RecommendationState:
        """The state."""
        return RecommendationState(self.cleaned_data["state"]) if self.is_valid() else RecommendationState.OPEN


class DismissForm(forms.Form):
    """The reason for dismissing."""

    reason = forms.CharField(
        max_length=200,
        label="Reason for dismissing",
        help_text="Shown with the recommendation and in the audit log.",
    )


class ChoiceForm(forms.Form):
    """The kind of request to find a model for."""

    request_type = forms.ChoiceField(
        label="Kind of request", choices=[(each.value, each.label) for each in RequestClass], initial="simple"
    )
    priority = forms.ChoiceField(
        choices=[(name, name.capitalize()) for name in LATENCY_WEIGHTS], initial="normal", required=False
    )

    def clean_priority(self) -> str:
        """Default to normal."""
        return str(self.cleaned_data["priority"] or "normal")
