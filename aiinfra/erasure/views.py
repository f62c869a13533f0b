"""`/settings/privacy/`: retention, legal holds, and erasures."""

from dataclasses import asdict

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from aiinfra.edit_forms import one_edit_at_a_time
from aiinfra.erasure.forms import EraseForm, RetentionForm
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.privacy import erasures
from aiinfra.tenants.privacy.holds import HeldError
from aiinfra.tenants.privacy.models import Erasure, LegalHold
from aiinfra.tenants.privacy.retention import change_retention, retention_of

SHOWN = 50


@permission_required("privacy:manage")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def privacy(request: MemberRequest) -> HttpResponse:
    """The page; a post changes the retention."""
    form = _retention_form(request)
    if request.method == "POST" and form.is_valid():
        change_retention(
            organization_id=request.principal.organization_id, actor=request.principal.actor, **form.cleaned_data
        )
        messages.success(request, "Saved.")
        return redirect("privacy")
    return _page(request, form, status=422 if request.method == "POST" else 200)


@permission_required("privacy:manage")
@require_POST
def erase(request: MemberRequest) -> HttpResponse:
    """Order an erasure, which the scheduler carries out within seconds."""
    form = EraseForm(request.POST, organization=request.membership.organization)
    if not form.is_valid():
        return _page(request, erase_form=form, status=422)
    try:
        erasures.order(
            organization=request.membership.organization,
            user_ref=form.cleaned_data["user"],
            everything=form.cleaned_data["everything"],
            actor=request.principal.actor,
        )
    except HeldError as error:
        form.add_error(None, str(error))
        return _page(request, erase_form=form, status=422)
    messages.success(request, "Erasure started. Its receipt appears below in a few seconds.")
    return redirect("privacy")


def _retention_form(request: MemberRequest) -> RetentionForm:
    posted = request.POST if request.method == "POST" and request.path.endswith("/privacy/") else None
    return RetentionForm(posted, initial=asdict(retention_of(request.principal.organization_id)))


def _page(
    request: MemberRequest, form: RetentionForm | None = None, erase_form: EraseForm | None = None, status: int = 200
) -> HttpResponse:
    holds = list(LegalHold.objects.filter(released_at=None).order_by("id"))
    orders = list(Erasure.objects.order_by("-requested_at")[:SHOWN])
    context = {
        "form": form or _retention_form(request),
        "erase_form": erase_form or EraseForm(organization=request.membership.organization),
        "holds": holds,
        "erasures": orders,
        "held": {
            each.pk for each in orders if not each.finished_at and any(hold.covers(each.user_ref) for hold in holds)
        },
    }
    return render(request, "privacy/privacy.html", context, status=status)
