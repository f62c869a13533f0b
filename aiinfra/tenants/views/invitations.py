"""`/invitations/<token>/`: joining an organization."""

from django.contrib import auth, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from aiinfra.tenants import invitations
from aiinfra.tenants.access import public
from aiinfra.tenants.forms import JoinForm
from aiinfra.tenants.members import MemberError, account_of
from aiinfra.tenants.middleware import SESSION_KEY
from aiinfra.tenants.models import Invitation, User


@public
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Accept an invitation, as the signed-in user or with a new account. 404 for a link that is not valid."""
    found = invitations.find_open(token)
    if found is None:
        raise Http404
    form = JoinForm(request.POST or None, email=found.email)
    if request.method == "GET":
        return _page(request, found, JoinForm(email=found.email))
    if not request.user.is_authenticated and not form.is_valid():
        return _page(request, found, form, status=422)
    try:
        user = _accept(request, found, form)
    except MemberError as error:
        return _page(request, found, form, problem=str(error), status=422)
    if not request.user.is_authenticated:
        auth.login(request, user)
    request.session[SESSION_KEY] = found.organization_id
    messages.success(request, f"Welcome to {found.organization}.")
    return redirect("home")


def _accept(request: HttpRequest, found: Invitation, form: JoinForm) -> User:
    if not request.user.is_authenticated:
        return invitations.accept_with_new_account(invitation=found, password=form.cleaned_data["password"])
    invitations.accept(invitation=found, user=request.user)
    return request.user


def _page(
    request: HttpRequest, found: Invitation, form: JoinForm, *, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "invitation": found,
        "form": form,
        "problem": problem,
        "must_log_in": not request.user.is_authenticated and account_of(found.email) is not None,
    }
    return render(request, "tenants/invitation.html", context, status=status)
