"""`/settings/aliases/`: the organization's model aliases."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aiinfra.edit_forms import one_edit_at_a_time
from aiinfra.gateway.pages.alias_forms import AliasForm, AliasTargetForm
from aiinfra.gateway.v1.model_names import BUILT_IN
from aiinfra.gateway.v1.models import alias_names, chat_models, named
from aiinfra.providers import aliases
from aiinfra.providers.models import ModelAlias
from aiinfra.providers.registry import is_configured
from aiinfra.tenants.access import MemberRequest, permission_required

MEANINGS = {
    "auto": "The model recommended for the call, at its priority",
    "cheap": "The model recommended by cost alone",
    "fast": "The model recommended mostly by latency",
}


@dataclass(frozen=True)
class AliasRow:
    """One alias in the list. Built-in ones have a meaning and no row."""

    name: str
    target: str = ""
    id: int | None = None
    is_available: bool = True

    @property
    def meaning(self) -> str:
        """What a built-in alias stands for."""
        return "" if self.id else MEANINGS[self.name]


@permission_required("chat:write")
@require_GET
def alias_list(request: MemberRequest) -> HttpResponse:
    """All aliases; with `?new` the form for another."""
    return _page(request, AliasForm())


@permission_required("alias:write")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def create(request: MemberRequest) -> HttpResponse:
    """Create an alias. Opened as a page it leads to the form."""
    if request.method == "GET":
        return redirect(f"{reverse('aliases')}?new")
    form = AliasForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        alias = _set(request, form.cleaned_data["name"], form.cleaned_data["model"])
    except aliases.TooManyAliasesError as error:
        form.add_error(None, str(error))
        return _page(request, form, status=422)
    messages.success(request, f"Alias {alias.name} created. It applies to the next request.")
    return redirect("aliases")


@permission_required("alias:write")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def change(request: MemberRequest, alias_id: int) -> HttpResponse:
    """The form for an alias's model; saving it returns to the list."""
    alias = get_object_or_404(ModelAlias, id=alias_id)
    form = AliasTargetForm(request.POST if request.method == "POST" else None, alias=alias)
    if request.method == "GET" or not form.is_valid():
        context = {"form": form, "alias": alias, "known_models": _known_models()}
        return render(request, "gateway/alias.html", context, status=422 if form.errors else 200)
    _set(request, alias.name, form.cleaned_data["model"])
    messages.success(request, f"Alias {alias.name} changed. It applies to the next request.")
    return redirect("aliases")


@permission_required("alias:write")
@require_POST
def remove(request: MemberRequest, alias_id: int) -> HttpResponse:
    """Remove an alias."""
    alias = get_object_or_404(ModelAlias, id=alias_id)
    principal = request.principal
    aliases.remove_alias(organization_id=principal.organization_id, name=alias.name, actor=principal.actor)
    messages.success(request, f"Alias {alias.name} removed.")
    return redirect("aliases")


@permission_required("key:manage")
@require_GET
def model_choices(request: MemberRequest) -> HttpResponse:
    """For the API key forms: a list for adding an alias or a model to the allowed ones."""
    context = {
        "aliases": list(alias_names(request.principal.organization_id)),
        "models": [name for name, _ in named(chat_models())],
    }
    return render(request, "gateway/_model_choices.html", context)


def _set(request: MemberRequest, name: str, target: str) -> ModelAlias:
    principal = request.principal
    return aliases.set_alias(organization_id=principal.organization_id, name=name, target=target, actor=principal.actor)


def _page(request: MemberRequest, form: AliasForm, status: int = 200) -> HttpResponse:
    context = {
        "rows": _rows(),
        "form": form,
        "known_models": _known_models(),
        "can_write": request.principal.can("alias:write"),
        "opens_form": "new" in request.GET,
    }
    return render(request, "gateway/aliases.html", context, status=status)


def _rows() -> list[AliasRow]:
    """Two queries, whatever the number of aliases."""
    known = {name for provider, model in chat_models() for name in (model, f"{provider}/{model}")}
    own = [
        AliasRow(each.name, each.target, each.pk, each.target in known or _has_provider(each.target))
        for each in ModelAlias.objects.all()
    ]
    built_in = [AliasRow(name) for name in BUILT_IN if name not in {each.name for each in own}]
    return sorted([*own, *built_in], key=lambda row: row.name)


def _has_provider(target: str) -> bool:
    provider, slash, _ = target.partition("/")
    return bool(slash) and is_configured(provider)


def _known_models() -> list[str]:
    return sorted({model for _, model in chat_models()} | {"/".join(pair) for pair in chat_models()})
