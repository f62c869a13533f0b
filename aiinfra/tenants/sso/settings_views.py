"""`/settings/single-sign-on/`: the identity provider of an organization."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from aiinfra.edit_forms import one_edit
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.sso import client, people
from aiinfra.tenants.sso.forms import IdentityProviderForm
from aiinfra.tenants.sso.models import Identity, IdentityProvider
from aiinfra.tenants.sso.views import redirect_uri


@permission_required("sso:manage")
@never_cache
@require_http_methods(["GET", "POST"])
def identity_provider(request: MemberRequest) -> HttpResponse:
    """Show and change it. The issuer is asked first, so that a typo is found here and not at the next login."""
    problem = _problem(request.POST.get("issuer", "").strip()) if request.method == "POST" else ""
    with one_edit(request.principal.organization_id):
        return _edit(request, problem)


def _problem(issuer: str) -> str:
    try:
        client.discover(issuer)
    except client.ProviderError as error:
        return str(error)
    return ""


def _edit(request: MemberRequest, problem: str) -> HttpResponse:
    stored = IdentityProvider.objects.first()
    provider = stored or IdentityProvider(organization=request.membership.organization)
    tried = Identity.objects.filter(provider=stored, ended_at=None).exists() if stored else False
    form = IdentityProviderForm(request.POST or None, instance=provider, was_tried=tried, issuer_problem=problem)
    if request.method == "POST" and form.is_valid():
        form.save()
        people.configured(provider, request.principal.actor, "sso.changed" if stored else "sso.created")
        messages.success(request, "Saved.")
        return redirect("sso_settings")
    context = {"form": form, "stored": stored, "redirect_uri": redirect_uri(), "was_tried": tried}
    return render(request, "tenants/sso.html", context, status=422 if request.method == "POST" else 200)


@permission_required("sso:manage")
@require_POST
def remove(request: MemberRequest) -> HttpResponse:
    """Forget the provider. Members stay and log in with their passwords."""
    for provider in IdentityProvider.objects.all():
        people.configured(provider, request.principal.actor, "sso.removed")
        provider.delete()
        messages.success(request, "Single sign-on was removed. Members log in with their passwords.")
    return redirect("sso_settings")
