"""Authenticates users by name and password, for every page and program."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from aiinfra.tenants import demo_rules
from aiinfra.tenants.caller import client_address
from aiinfra.tenants.login import attempts
from aiinfra.tenants.login.hashing import one_hash
from aiinfra.tenants.members import account_of
from aiinfra.tenants.models import User
from aiinfra.tenants.security_log import repeats
from aiinfra.tenants.security_log.events import Event

NAME_MAX = User._meta.get_field("username").max_length or 0


class PersonBackend(ModelBackend):
    """Django's accounts, found by username or email address, behind a limit on guessing.

    Demo accounts work only where they are allowed, at login and with every request.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        """The person, or None. Takes the same time for names that do not exist, and counts before it checks.

        Raises TooManyAttemptsError.
        """
        if username is None or password is None:
            return None
        address = client_address(request) if request else None
        try:
            attempt = attempts.begin(username, address)
        except attempts.TooManyAttemptsError:
            repeats.count(Event.LOCKED_OUT, target=_known(username))
            raise
        with one_hash():
            user = _checked(username, password)
        if user is None or not self.user_can_authenticate(user):
            repeats.count(Event.LOG_IN_FAILED, target=_known(username))
            return None
        attempt.succeed()
        return user

    def user_can_authenticate(self, user: User | AnonymousUser | None) -> bool:
        """Whether the account may log in and stay logged in."""
        if user is None or not super().user_can_authenticate(user):
            return False
        return not (demo_rules.is_demo_name(user.get_username()) and demo_rules.obstacles())


def _find(username: str) -> User | None:
    name = attempts.trimmed(username)
    return account_of(name) if name and "\0" not in name and len(name) <= NAME_MAX else None


def _known(username: str) -> str:
    """The name of an account, for the log. Other names stay out: people type passwords into the wrong field."""
    user = _find(username)
    return user.get_username() if user else "unknown name"


def _checked(username: str, password: str) -> User | None:
    """One hash in every case: Django hashes for an account without a password too."""
    user = _find(username)
    if user is None:
        User().set_password(password)
        return None
    return user if user.check_password(password) else None
