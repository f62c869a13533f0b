"""Log in and out, change the password, switch organizations, and the redirect from `/`."""

from typing import cast

from allauth.account.utils import perform_login
from django.contrib import auth, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aiinfra.own_urls import is_own_url
from aiinfra.templatetags.formats import full_stop
from aiinfra.tenants.access import public, signed_in
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.demo import demo_logins, password_path
from aiinfra.tenants.login.attempts import TooManyAttemptsError
from aiinfra.tenants.login.forms import LoginForm, PasswordForm
from aiinfra.tenants.login.sessions import end_session, end_sessions, with_own_login
from aiinfra.tenants.members import change_password
from aiinfra.tenants.middleware import SESSION_KEY, principal_of
from aiinfra.tenants.models import Membership, User
from aiinfra.tenants.nearest_page import nearest_page
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record


@signed_in
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Redirect to the first page; users without an organization see a page that says so."""
    if getattr(request, "principal", None) is None:
        return render(request, "tenants/no_organization.html")
    return redirect("queue_live")


@public
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """The login page. 429 with Retry-After for too many failures; see `login.attempts`."""
    if request.user.is_authenticated:
        return _already(request)
    if request.method == "GET":
        return _log_in_page(request, LoginForm(request))
    form = LoginForm(request, data=request.POST)
    try:
        is_right = form.is_valid()
    except TooManyAttemptsError as error:
        return _too_many(_log_in_page(request, LoginForm(request), problem=str(error), status=429), error)
    if not is_right:
        return _log_in_page(request, form, status=422)
    return cast(HttpResponse, perform_login(request, form.get_user(), redirect_url=_next(request)))


def _already(request: HttpRequest) -> HttpResponse:
    """Django admin sends people here who may not open it; back there, they would go around in circles."""
    wanted = _next(request)
    if wanted.startswith(reverse("admin:index")) and not request.user.is_staff:
        raise PermissionDenied("is_staff")
    return redirect(wanted)


@signed_in
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    end_session(request)
    return redirect("login")


@with_own_login
@never_cache
@sensitive_post_parameters("old_password", "new_password1", "new_password2")
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change the user's own password, which ends their other sessions. Failures count as failed logins."""
    user = cast(User, request.user)
    form = PasswordForm(user, request.POST or None, request=request)
    if request.method == "GET":
        return _password_page(request, form)
    try:
        is_right = form.is_valid()
    except TooManyAttemptsError as error:
        form = PasswordForm(user, request=request)
        return _too_many(_password_page(request, form, problem=str(error), status=429), error)
    if not is_right:
        return _password_page(request, form, status=422)
    change_password(user, form.cleaned_data["new_password1"])
    record(Event.PASSWORD_CHANGED, actor=user_actor(user), target=user.get_username())
    end_sessions(user, except_for=request, why="password changed")
    auth.update_session_auth_hash(request, user)
    messages.success(request, "Password changed. All other sessions have been signed out.")
    return redirect("home")


@signed_in
@require_POST
def switch_organization(request: HttpRequest) -> HttpResponse:
    """Switch to another of the user's organizations, on the same page if they may open it there.

    404 for an organization that they do not belong to.
    """
    slug = request.POST.get("organization", "")
    mine: list[Membership] = getattr(request, "memberships", [])
    membership = next((each for each in mine if each.organization.slug == slug), None)
    if membership is None:
        raise Http404
    request.session[SESSION_KEY] = membership.organization_id
    messages.success(request, f"Switched to {full_stop(membership.organization)}")
    return redirect(nearest_page(request.POST.get("page", ""), principal_of(membership), request.user))


def _too_many(page: HttpResponse, error: TooManyAttemptsError) -> HttpResponse:
    page.headers["Retry-After"] = str(error.retry_after_s)
    return page


def _log_in_page(request: HttpRequest, form: LoginForm, *, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "problem": problem,
        "next": request.POST.get("next", request.GET.get("next", "")),
        "demo_logins": demo_logins(),
        "demo_password_file": password_path().name,
    }
    return render(request, "registration/login.html", context, status=status)


def _password_page(request: HttpRequest, form: PasswordForm, *, problem: str = "", status: int = 200) -> HttpResponse:
    return render(request, "tenants/password.html", {"form": form, "problem": problem}, status=status)


def _next(request: HttpRequest) -> str:
    """The requested page, if it is on this host."""
    wanted = request.POST.get("next", request.GET.get("next", ""))
    return wanted if is_own_url(request, wanted) else resolve_url("home")
