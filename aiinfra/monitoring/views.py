"""The pages where admins and staff set the queue's alert rules."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from aiinfra.edit_forms import one_edit_at_a_time
from aiinfra.monitoring.forms import AlertRulesForm
from aiinfra.monitoring.rules import change_rules, rules_of
from aiinfra.pages import INSTALLATION, ORGANIZATION, PageOwner
from aiinfra.tenants.access import MemberRequest, installation_required, permission_required
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.staff import StaffRight


@permission_required("alert:manage")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def rules(request: MemberRequest) -> HttpResponse:
    """The organization's thresholds."""
    return _rules(request, ORGANIZATION, "alert_rules")


@installation_required(StaffRight.MANAGE_ALERTS)
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def installation_rules(request: MemberRequest) -> HttpResponse:
    """The installation's thresholds."""
    return _rules(request, INSTALLATION, "installation_settings")


def _rules(request: MemberRequest, owner: PageOwner, url_name: str) -> HttpResponse:
    owner_id = owner.owner_id(request)
    form = AlertRulesForm(request.POST or None, instance=rules_of(owner_id))
    if request.method == "POST" and form.is_valid():
        change_rules(organization_id=owner_id, changes=form.cleaned_data, actor=user_actor(request.user))
        messages.success(request, "Thresholds saved.")
        return redirect(url_name)
    context = {"form": form, "owner": owner}
    return render(request, "monitoring/rules.html", context, status=422 if form.errors else 200)
