"""What people send about fallback chains: a change of one step, and which models they choose from."""

from collections.abc import Sequence
from itertools import groupby

from django import forms

from aiinfra.providers.registry import is_configured
from cost_app.fallback.chains import Chain
from cost_app.fallback.manage import ChainError
from cost_app.prices.book import priced_models
from cost_app.recommendations.pricing import Model

ACTIONS = ["add", "remove", "up", "down", "off", "default"]
Choices = list[tuple[str, list[tuple[str, str]]]]


class ModelChoiceForm(forms.Form):
    """Chooses a model of the price book whose chain is to be shown."""

    model = forms.ChoiceField(label="Model")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["model"].choices = choices(priced_models())  # type: ignore[attr-defined]


class StepForm(forms.Form):
    """Chooses the model of a new step: anything that the chain does not hold yet and that can be called."""

    step = forms.ChoiceField(label="Add a step")

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        taken = {(chain.provider, chain.model), *((step.provider, step.model) for step in chain.steps)}
        free = [model for model in priced_models() if model not in taken and is_configured(model[0])]
        self.fields["step"].choices = choices(free)  # type: ignore[attr-defined]


class ChangeForm(forms.Form):
    """One change of a chain: `step` names a model, `seen` is the version of the chain that the person saw."""

    action = forms.ChoiceField(choices=[(action, action) for action in ACTIONS])
    step = forms.CharField(required=False, max_length=161)
    seen = forms.CharField()

    def changed(self, chain: Chain) -> list[Model]:
        """The steps of a valid form's chain after the change. Raises ChainError for a step that is not there."""
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
    """The model of `provider/model`; names of models may hold slashes."""
    provider, _, model = name.partition("/")
    return provider, model


def choices(models: Sequence[Model]) -> Choices:
    """Models for a select, grouped by provider."""
    grouped = groupby(sorted(models), key=lambda each: each[0])
    return [(provider, [("/".join(each), each[1]) for each in group]) for provider, group in grouped]
