"""`/settings/keys/`: the organization's API keys."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aiinfra.edit_forms import one_edit_at_a_time
from aiinfra.signing_secrets import PREFIX
from aiinfra.tenants import keys, new_secret
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.authorization import Role, scopes_of
from aiinfra.tenants.change_key_limits import change_limits
from aiinfra.tenants.forms import KeyForm, RotateForm
from aiinfra.tenants.key_budget import set_key_budget
from aiinfra.tenants.key_limits_form import NEW_SECRET, NO_SECRET, KeyLimitsForm
from aiinfra.tenants.models import ApiKey
from aiinfra.tenants.webhook_secrets import remove_webhook_secret, rotate_webhook_secret


@permission_required("key:manage")
@never_cache
@require_GET
def key_list(request: MemberRequest) -> HttpResponse:
    """The keys, newest first; a secret that was just created, this once; with `?new` the form for another key."""
    form = KeyForm(giver=request.principal.role)
    key_id, text = new_secret.take(request)
    response = _page(request, form, made=ApiKey.objects.filter(key_id=key_id).first(), text=text)
    if text:
        new_secret.forget(response, reverse("keys"))
    return response


@permission_required("key:manage")
@never_cache
@require_http_methods(["GET", "POST"])
def create(request: MemberRequest) -> HttpResponse:
    """Create a key; the page that comes next shows its secret. Opened as a page it leads to the form."""
    if request.method == "GET":
        return redirect(f"{reverse('keys')}?new")
    form = KeyForm(request.POST, giver=request.principal.role)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        key, text = _create(request, form)
    except PermissionError as error:
        form.add_error("role", str(error))
        return _page(request, form, status=422)
    return _show_next(request, key, text)


@transaction.atomic
def _create(request: MemberRequest, form: KeyForm) -> tuple[ApiKey, str]:
    """A key never exists without its budget."""
    key, text = keys.create_key(
        organization=request.membership.organization,
        name=form.cleaned_data["name"],
        role=form.chosen_role(),
        scopes=form.chosen_scopes(),
        expires_at=form.chosen_expiry(),
        created_by=request.user,
        limits=form.chosen_limits(),
        actor=request.principal.actor,
    )
    if budget := form.chosen_budget():
        set_key_budget(key, budget, request.principal.actor)
    return key, text


@permission_required("key:manage")
@never_cache
@require_POST
def rotate(request: MemberRequest, key_id: str) -> HttpResponse:
    """Create a key's successor; the page that comes next shows its secret."""
    key = get_object_or_404(ApiKey, key_id=key_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        return _refused(request, "Select when the old key stops working.")
    try:
        new, text = keys.rotate_key(
            key=key, overlap=form.chosen_overlap(), rotated_by=request.user, actor=request.principal.actor
        )
    except (ValueError, PermissionError) as error:
        return _refused(request, str(error))
    return _show_next(request, new, text)


@permission_required("key:manage")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def limits(request: MemberRequest, key_id: str) -> HttpResponse:
    """The form for a key's limits; saving it returns to the list, which shows a new signing secret."""
    key = get_object_or_404(ApiKey, key_id=key_id)
    form = KeyLimitsForm(request.POST if request.method == "POST" else None, key=key)
    if request.method == "GET" or not form.is_valid():
        status = 422 if form.errors else 200
        return render(request, "tenants/key_limits.html", {"form": form, "key": key}, status=status)
    if change_limits(key=key, limits=form.chosen_limits(), actor=request.principal.actor):
        messages.success(request, f"Limits of {key.name} changed. They apply to the next request.")
    return _change_secret(request, key, form.cleaned_data["webhook_secret"])


def _change_secret(request: MemberRequest, key: ApiKey, choice: str) -> HttpResponse:
    """Create, replace, or remove the key's signing secret; the page that comes next shows a new one."""
    actor = request.principal.actor
    if choice == NEW_SECRET:
        return _show_next(request, key, rotate_webhook_secret(key=key, actor=actor))
    if choice == NO_SECRET and remove_webhook_secret(key=key, actor=actor):
        messages.success(request, f"Signing secret of {key.name} removed.")
    return redirect("keys")


@permission_required("key:manage")
@require_POST
def revoke(request: MemberRequest, key_id: str) -> HttpResponse:
    """Revoke a key."""
    key = get_object_or_404(ApiKey, key_id=key_id)
    keys.revoke_key(key=key, actor=request.principal.actor)
    messages.success(request, f"Key {key.name} revoked.")
    return redirect("keys")


def _show_next(request: MemberRequest, key: ApiKey, text: str) -> HttpResponse:
    return new_secret.hand_over(request, redirect("keys"), key, text, reverse("keys"))


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
        "is_signing_secret": text.startswith(PREFIX),
        "opens_form": "new" in request.GET,
        "keys": ApiKey.objects.select_related("created_by", "replaced_by").order_by("-created_at"),
        "rotate_form": RotateForm(),
        "now": timezone.now(),
        "scopes_by_role": {role.value: scopes_of(role) for role in Role},
    }
    return render(request, "tenants/keys.html", context, status=status)
