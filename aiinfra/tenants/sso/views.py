"""`/sso/`: logging in through the identity provider of an organization."""

import secrets
import time
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.contrib import auth
from django.core import validators
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from aiinfra.own_urls import is_own_url
from aiinfra.tenants.access import public
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.caller import client_address
from aiinfra.tenants.login import attempts
from aiinfra.tenants.login.sessions import bind_to_organization
from aiinfra.tenants.middleware import SESSION_KEY
from aiinfra.tenants.models import User
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.security_log import repeats
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record
from aiinfra.tenants.sso import client, people
from aiinfra.tenants.sso.models import IdentityProvider

PENDING = "sso_pending"
VALID_S = 600
BACKEND = "aiinfra.tenants.login.backends.PersonBackend"


@public
@never_cache
@require_GET
def choose(request: HttpRequest) -> HttpResponse:
    """Ask for the organization. The link to the provider is on the answer: CSP lets no form lead to another site."""
    slug = request.GET.get("organization", "").strip().lower()
    provider = _provider(slug) if slug else None
    problem = "" if provider or not slug else "This organization has no single sign-on."
    context = {"slug": slug, "provider": provider, "problem": problem, "next": request.GET.get("next", "")}
    return render(request, "registration/sso.html", context, status=404 if problem else 200)


@public
@never_cache
@require_GET
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Redirect to the provider. 404 for an organization without one."""
    provider = _provider(slug)
    if provider is None:
        raise Http404
    pending = {
        "state": secrets.token_urlsafe(32),
        "nonce": secrets.token_urlsafe(32),
        "verifier": secrets.token_urlsafe(64),
    }
    try:
        url = client.authorization_url(provider, redirect_uri=redirect_uri(), **pending)
    except client.ProviderError as error:
        return _failed(request, str(error))
    wanted = request.GET.get("next", "")
    request.session[PENDING] = {**pending, "slug": slug, "at": time.time(), "next": wanted}
    return redirect(url)


@public
@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """The provider sends the browser back here."""
    pending = request.session.pop(PENDING, None)
    if not pending or time.time() - pending["at"] > VALID_S:
        return _failed(request, "This login has expired. Start again.")
    if not secrets.compare_digest(request.GET.get("state", "").encode(), pending["state"].encode()):
        return _failed(request, "This login was started in another window. Start again.")
    provider = _provider(pending["slug"])
    if provider is None or "code" not in request.GET:
        return _failed(request, "The identity provider did not log you in.")
    attempt = attempts.begin(f"single sign-on {client_address(request)}", client_address(request))
    try:
        client.check_sender(provider, request.GET.get("iss"))
        user = _person(request, provider, pending)
    except (client.ProviderError, people.NotAdmittedError) as error:
        repeats.count(Event.LOG_IN_FAILED, organization=pending["slug"], target="single sign-on")
        return _failed(request, str(error))
    attempt.succeed()
    return _log_in(request, user, provider, pending["next"])


def redirect_uri() -> str:
    """What organizations register at their provider."""
    return urljoin(settings.AIINFRA_PUBLIC_URL, reverse("sso_callback"))


def _person(request: HttpRequest, provider: IdentityProvider, pending: dict[str, Any]) -> User:
    claims, tokens = client.exchange(
        provider,
        code=request.GET["code"],
        verifier=pending["verifier"],
        redirect_uri=redirect_uri(),
        nonce=pending["nonce"],
    )
    with organization_scope(provider.organization_id):
        return people.admit(provider, claims, tokens.refresh_token)


def _log_in(request: HttpRequest, user: User, provider: IdentityProvider, wanted: str) -> HttpResponse:
    auth.login(request, user, backend=BACKEND)
    bind_to_organization(request, provider.organization_id)
    request.session[SESSION_KEY] = provider.organization_id
    slug = provider.organization.slug
    record(Event.LOG_IN, actor=user_actor(user), organization=slug, target=user.get_username())
    return redirect(wanted if is_own_url(request, wanted) else resolve_url("home"))


def _provider(slug: str) -> IdentityProvider | None:
    if not validators.slug_re.fullmatch(slug):
        return None
    with system_scope():
        return IdentityProvider.objects.select_related("organization").filter(organization__slug=slug).first()


def _failed(request: HttpRequest, problem: str) -> HttpResponse:
    return render(request, "registration/sso.html", {"problem": problem}, status=422)
