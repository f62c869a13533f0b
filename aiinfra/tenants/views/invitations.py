"""`/invitations/<token>/` and `/invitation/`: joining an organization."""

from allauth.account.utils import perform_login
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from aiinfra.api_limits import count_refused
from aiinfra.failures import ApiError
from aiinfra.templatetags.formats import full_stop
from aiinfra.tenants import invitations
from aiinfra.tenants.access import public
from aiinfra.tenants.forms import JoinForm
from aiinfra.tenants.login.middleware import without_referrer
from aiinfra.tenants.members import MemberError, account_of
from aiinfra.tenants.middleware import SESSION_KEY
from aiinfra.tenants.models import Invitation, User

TOKEN_KEY = "invitation_token"  # noqa: S105 - the name of a session entry


@public
@never_cache
@require_GET
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Take the token out of the address, where logs, histories and other sites could see it. 404 for a link that is not
    valid.
    """
    if invitations.find_open(token) is None:
        return _wrong_link(request)
    request.session[TOKEN_KEY] = token
    return without_referrer(redirect("invitation_accept"))


@public
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def accept_invitation(request: HttpRequest) -> HttpResponse:
    """Accept the invitation whose link was opened, as the signed-in user or with a new account. 404 without one."""
    found = invitations.find_open(request.session.get(TOKEN_KEY, ""))
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
        perform_login(request, user)
    request.session.pop(TOKEN_KEY, None)
    request.session[SESSION_KEY] = found.organization_id
    messages.success(request, f"Welcome to {full_stop(found.organization)}")
    return redirect("home")


def _accept(request: HttpRequest, found: Invitation, form: JoinForm) -> User:
    if not request.user.is_authenticated:
        return invitations.accept_with_new_account(invitation=found, password=form.cleaned_data["password"])
    invitations.accept(invitation=found, user=request.user)
    return request.user


def _wrong_link(request: HttpRequest) -> HttpResponse:
    """Raises Http404, or returns 429 to an address that tries many links."""
    try:
        count_refused(request)
    except ApiError as refusal:
        headers = {"Retry-After": refusal.headers["Retry-After"]}
        return HttpResponse(f"{refusal.message}\n", status=429, content_type="text/plain", headers=headers)
    raise Http404


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
