"""Adapters for django-allauth: accounts, addresses, messages, encryption."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from aiinfra.encryption import decrypt, encrypt
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.caller import client_address
from aiinfra.tenants.login import sessions
from aiinfra.tenants.login.backends import PersonBackend
from aiinfra.tenants.login.hashing import one_hash
from aiinfra.tenants.login.staff import must_keep_second_factor
from aiinfra.tenants.members import change_password
from aiinfra.tenants.models import User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record

INACTIVE = "This account can't log in."


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Sign-up is closed: accounts come from invitations, administrators, and single sign-on."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        """Never."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that the product's own limits use."""
        return client_address(request) or "::"

    def pre_login(self, request: HttpRequest, user: User, **_: Any) -> HttpResponse | None:
        """Reject accounts that may not log in, even with valid credentials."""
        if PersonBackend().user_can_authenticate(user):
            return None
        return self.respond_user_inactive(request, user)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:  # noqa: ARG002 - see above
        """Back to the login page."""
        messages.error(request, INACTIVE)
        return redirect("login")

    def post_login(self, request: HttpRequest, user: User, **details: Any) -> HttpResponse:
        """Record the login once every factor is checked."""
        record(Event.LOG_IN, actor=user_actor(user), target=user.get_username())
        response: HttpResponse = super().post_login(request, user, **details)
        return response

    def set_password(self, user: User, password: str) -> None:
        """A reset: it ends all sessions, since someone else may have used the old password."""
        with one_hash():
            change_password(user, password)
        record(Event.PASSWORD_RESET, actor=user_actor(user), target=user.get_username())
        sessions.end_sessions(user, why="password reset")


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Secrets are encrypted in the database."""

    def encrypt(self, text: str) -> str:
        """For the database."""
        return encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises UndecryptableError."""
        return decrypt(encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Staff keep one where the installation requires it."""
        return not must_keep_second_factor(authenticator)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002 - see above
        """The suggested name of a passkey."""
        return f"Passkey {Authenticator.objects.filter(user=user, type=type).count() + 1}"
