"""`/cache/settings/`: the organization's cache settings."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from aiinfra.edit_forms import one_edit_at_a_time
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.audit import audit_events
from cache_app.embedding.registry import configured_embedder
from cache_app.embedding.vector_cache import embedder_state
from cache_app.models import CachePolicy
from cache_app.pages import rights
from cache_app.policy import change_policy
from cache_app.settings.changes import Changed, changed
from cache_app.settings.forms import PolicyForm

EVENTS_SHOWN = 5


@permission_required("cache:manage")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def settings(request: MemberRequest) -> HttpResponse:
    """Read and change the settings. The form shows the stored values, not those remembered for a second."""
    organization, scale = request.membership.organization, configured_embedder().scale
    policy = CachePolicy.objects.first() or CachePolicy(organization=organization)
    data = request.POST if request.method == "POST" else None
    form = PolicyForm(data, instance=policy, scale=scale)
    if form.is_valid():
        change_policy(organization_id=organization.pk, changes=form.changes(), actor=request.principal.actor)
        messages.success(request, "Settings saved. They take effect within a second.")
        return redirect("cache_settings")
    context = {
        "form": form,
        "embedder": embedder_state(),
        "scale": scale,
        "events": _events(request),
        **rights(request),
    }
    return render(request, "cache/settings.html", context, status=422 if form.errors else 200)


def _events(request: MemberRequest) -> list[Changed] | None:
    """The last changes of the settings. None for users who cannot read the audit log."""
    if not request.principal.can("audit:read"):
        return None
    return changed(audit_events(verb="cache_policy.")[:EVENTS_SHOWN])
