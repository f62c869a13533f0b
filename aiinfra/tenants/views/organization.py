"""`/settings/organization/`."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from aiinfra.edit_forms import one_edit_at_a_time
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.forms import OrganizationForm
from aiinfra.tenants.models import Organization
from aiinfra.tenants.organizations import update_organization


@permission_required("organization:write")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def organization(request: MemberRequest) -> HttpResponse:
    """Name and time zone."""
    # A form writes into its instance while it validates, and the page header shows the request's instance.
    edited = Organization.objects.get(pk=request.principal.organization_id)
    form = OrganizationForm(request.POST or None, instance=edited)
    if request.method == "POST" and form.is_valid():
        update_organization(organization=edited, actor=request.principal.actor, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("organization")
    status = 422 if request.method == "POST" else 200
    return render(request, "tenants/organization.html", {"form": form}, status=status)
