"""What people fill in on the pages of recommendations."""

from django import forms

from cost_app.models import RecommendationState, RequestClass
from cost_app.recommendations.provider_choice import LATENCY_WEIGHTS


class StateForm(forms.Form):
    """Which recommendations to list; a value that makes no sense lists the open ones."""

    state = forms.ChoiceField(choices=RecommendationState.choices)

    def chosen(self) -> RecommendationState:
        """The state."""
        return RecommendationState(self.cleaned_data["state"]) if self.is_valid() else RecommendationState.OPEN


class DismissForm(forms.Form):
    """Why not."""

    reason = forms.CharField(
        max_length=200,
        label="Why is it not followed?",
        help_text="For those who look here later; shown with the recommendation and in the audit log.",
    )


class ChoiceForm(forms.Form):
    """For what a model is sought."""

    request_type = forms.ChoiceField(
        label="Kind of request", choices=[(each.value, each.label) for each in RequestClass], initial="simple"
    )
    priority = forms.ChoiceField(
        choices=[(name, name.capitalize()) for name in LATENCY_WEIGHTS], initial="normal", required=False
    )

    def clean_priority(self) -> str:
        """Normal where it is left out."""
        return str(self.cleaned_data["priority"] or "normal")
