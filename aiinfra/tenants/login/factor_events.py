"""Writes changes and failures of second factors to the security log."""

from typing import Any

from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.http import HttpRequest

from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.models import User
from aiinfra.tenants.security_log import repeats
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record


def connect() -> None:
    """Listen to allauth, which changes factors in several places."""
    signals.authenticator_added.connect(_added)
    signals.authenticator_removed.connect(_removed)
    signals.authentication_failed.connect(_failed)


def _added(user: User, authenticator: Authenticator, **_: Any) -> None:
    record(Event.SECOND_FACTOR_ADDED, actor=user_actor(user), target=f"{user.get_username()}: {authenticator.type}")


def _removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    record(Event.SECOND_FACTOR_REMOVED, actor=user_actor(user), target=f"{user.get_username()}: {authenticator.type}")


def _failed(request: HttpRequest, user: User, **_: Any) -> None:  # noqa: ARG001 - the signal's signature
    repeats.count(Event.SECOND_FACTOR_FAILED, target=user.get_username())
