"""Forms for fallback chains."""

from collections.abc import Sequence
from itertools import groupby

from django import forms

from aiinfra.providers.registry import is_configured
from cost_app.fallback.chains import Chain
from cost_app.fallback.manage import ChainError
from cost_app.prices.lookup import priced_models
from cost_app.recommendations.pricing import Model

ACTIONS = ["add", "remove", "up", "down", "off", "default"]
Choices = list[tuple[str, list[tuple[str, str]]]]


class ModelChoiceForm(forms.Form):
    """Selects the model whose chain is shown."""

    model = forms.ChoiceField(label="Model")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["model"].choices = choices(priced_models())  # type: ignore[attr-defined]


class StepForm(forms.Form):
    """Selects the model of a new step: any model that can be called and is not in the chain yet."""

    step = forms.ChoiceField(label="Add a step")

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        taken = {(chain.provider, chain.model), *((step.provider, step.model) for step in chain.steps)}
        free = [model for model in priced_models() if model not in taken and is_configured(model[0])]
        self.fields["step"].choices = choices(free)  # type: ignore[attr-defined]


class ChangeForm(forms.Form):
    """One change to a chain. `step` is a model, `seen` the chain's version when the page was loaded."""

    action = forms.ChoiceField(choices=[(action, action) for action in ACTIONS])
    step = forms.CharField(required=False, max_length=161)
    seen = forms.CharField()

    def changed(self, chain: Chain) -> list[Model]:
        """The chain's steps after the change. Raises ChainError if the step is not in the chain."""
        steps = [(step.provider, step.model) for step in chain.steps]
        action, step = self.cleaned_data["action"], model_named(self.cleaned_data["step"])
        if action == "off":
            return []
        if action == "add":
            return [*steps, step]
        if step not in steps:
            raise ChainError("That step is no longer in the chain.")
        place = steps.index(step)
        steps.remove(step)
        if action in {"up", "down"}:
            steps.insert(max(0, place - 1) if action == "up" else place + 1, step)
        return steps


def model_named(name: str) -> Model:
    """The model of `provider/model`. Model names can contain slashes."""
    provider, _, model = name.partition("/")
    return provider, model


def choices(models: Sequence[Model]) -> Choices:
    """Models for a select, grouped by provider."""
    grouped = groupby(sorted(models), key=lambda each: each[0])
    return [(provider, [("/".join(each), each[1]) for each in group]) for provider, group in grouped]
