"""`/settings/members/`: the organization's members."""

from urllib.parse import urljoin

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aiinfra.tenants import invitations, members
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.forms import InviteForm, RoleForm, roles_below
from aiinfra.tenants.members import MemberError
from aiinfra.tenants.models import Invitation, Membership


@permission_required("member:read")
@require_GET
def member_list(request: MemberRequest) -> HttpResponse:
    """The members and open invitations."""
    return _page(request, InviteForm(giver=request.principal.role))


@permission_required("member:manage")
@never_cache
@require_POST
def invite(request: MemberRequest) -> HttpResponse:
    """Create an invitation and show its link once."""
    form = InviteForm(request.POST, giver=request.principal.role)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        invitation, token = invitations.invite(
            organization=request.membership.organization,
            email=form.cleaned_data["email"],
            role=form.chosen_role(),
            by=request.user,
            actor=request.principal.actor,
        )
    except MemberError as error:
        form.add_error("email", str(error))
        return _page(request, form, status=422)
    page = reverse("invitation", args=[token])
    link = request.build_absolute_uri(page)
    # The invited person gets the public address, whatever Host header came with this request.
    was_sent = invitations.send(invitation, urljoin(settings.AIINFRA_PUBLIC_URL, page))
    return _page(request, InviteForm(giver=request.principal.role), made=invitation, link=link, was_sent=was_sent)


@permission_required("member:manage")
@require_POST
def withdraw_invitation(request: MemberRequest, invitation_id: int) -> HttpResponse:
    """Withdraw an open invitation."""
    invitation = get_object_or_404(Invitation, pk=invitation_id, accepted_at=None)
    invitations.withdraw(invitation=invitation, actor=request.principal.actor)
    messages.success(request, f"Invitation for {invitation.email} withdrawn.")
    return redirect("members")


@permission_required("member:manage")
@require_POST
def change_role(request: MemberRequest, membership_id: int) -> HttpResponse:
    """Change a member's role."""
    membership = _membership(request, membership_id)
    form = RoleForm(request.POST, giver=request.principal.role)
    if not form.is_valid():
        return _refused(request, "You can't grant that role.")
    try:
        members.change_role(
            membership=membership,
            role=form.chosen_role(),
            by=request.user,
            actor=request.principal.actor,
            seen=request.POST.get("seen", ""),
        )
    except MemberError as error:
        return _refused(request, str(error))
    messages.success(request, f"{membership.user} now has the role {form.chosen_role().value}.")
    return redirect("members")


@permission_required("member:manage")
@require_POST
def remove(request: MemberRequest, membership_id: int) -> HttpResponse:
    """Remove a member."""
    membership = _membership(request, membership_id)
    try:
        members.remove_member(membership=membership, by=request.user, actor=request.principal.actor)
    except MemberError as error:
        return _refused(request, str(error))
    messages.success(request, f"{membership.user} is no longer a member.")
    return redirect("home" if membership.user_id == request.user.pk else "members")


def _refused(request: MemberRequest, why: str) -> HttpResponse:
    messages.error(request, why)
    return _page(request, InviteForm(giver=request.principal.role), status=422)


def _membership(request: MemberRequest, membership_id: int) -> Membership:
    rows = Membership.objects.filter(organization_id=request.principal.organization_id).select_related("user")
    return get_object_or_404(rows, pk=membership_id)


def _page(
    request: MemberRequest,
    form: InviteForm,
    *,
    made: Invitation | None = None,
    link: str = "",
    was_sent: bool = False,
    status: int = 200,
) -> HttpResponse:
    organization_id = request.principal.organization_id
    context = {
        "form": form,
        "made": made,
        "link": link,
        "was_sent": was_sent,
        "members": Membership.objects.filter(organization_id=organization_id).select_related("user").order_by("id"),
        "invitations": Invitation.objects.filter(accepted_at=None).select_related("invited_by").order_by("-id"),
        "now": timezone.now(),
        "can_manage": request.principal.can("member:manage"),
        "grantable": roles_below(request.principal.role),
        "grantable_values": [value for value, _ in roles_below(request.principal.role)],
    }
    return render(request, "tenants/members.html", context, status=status)
