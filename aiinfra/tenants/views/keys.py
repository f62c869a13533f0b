"""`/settings/keys/`: the organization's API keys."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aiinfra.tenants import keys
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.authorization import Role, scopes_of
from aiinfra.tenants.forms import KeyForm, RotateForm
from aiinfra.tenants.models import ApiKey


@permission_required("key:manage")
@require_GET
def key_list(request: MemberRequest) -> HttpResponse:
    """The keys, newest first."""
    return _page(request, KeyForm(giver=request.principal.role))


@permission_required("key:manage")
@never_cache
@require_POST
def create(request: MemberRequest) -> HttpResponse:
    """Create a key and show its text once."""
    form = KeyForm(request.POST, giver=request.principal.role)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        key, text = keys.create_key(
            organization=request.membership.organization,
            name=form.cleaned_data["name"],
            role=form.chosen_role(),
            scopes=form.chosen_scopes(),
            expires_at=form.chosen_expiry(),
            created_by=request.user,
            actor=request.principal.actor,
        )
    except PermissionError as error:
        form.add_error("role", str(error))
        return _page(request, form, status=422)
    return _page(request, KeyForm(giver=request.principal.role), made=key, text=text)


@permission_required("key:manage")
@never_cache
@require_POST
def rotate(request: MemberRequest, key_id: str) -> HttpResponse:
    """Rotate a key and show the new text once."""
    key = get_object_or_404(ApiKey, key_id=key_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        return _refused(request, "Select when the old key stops working.")
    try:
        new, text = keys.rotate_key(
            key=key, overlap=form.chosen_overlap(), rotated_by=request.user, actor=request.principal.actor
        )
    except (ValueError, PermissionError) as error:
        return _refused(request, f"{str(error).capitalize()}.")
    return _page(request, KeyForm(giver=request.principal.role), made=new, text=text)


@permission_required("key:manage")
@require_POST
def revoke(request: MemberRequest, key_id: str) -> HttpResponse:
    """Revoke a key."""
    key = get_object_or_404(ApiKey, key_id=key_id)
    keys.revoke_key(key=key, actor=request.principal.actor)
    messages.success(request, f"Key {key.name} revoked.")
    return redirect("keys")


def _refused(request: MemberRequest, why: str) -> HttpResponse:
    messages.error(request, why)
    return _page(request, KeyForm(giver=request.principal.role), status=422)


def _page(
    request: MemberRequest, form: KeyForm, *, made: ApiKey | None = None, text: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "made": made,
        "text": text,
        "keys": ApiKey.objects.select_related("created_by", "replaced_by").order_by("-created_at"),
        "rotate_form": RotateForm(),
        "now": timezone.now(),
        "scopes_by_role": {role.value: scopes_of(role) for role in Role},
    }
    return render(request, "tenants/keys.html", context, status=status)
