"""Asks identity providers every quarter of an hour whether they still vouch for the people who logged in."""

from datetime import timedelta

from django.utils import timezone

from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.login.sessions import end_sessions
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.sso import client, people
from aiinfra.tenants.sso.models import Identity

EVERY_S = 60.0
CHECK_AFTER = timedelta(minutes=15)
WITHOUT_REFRESH = timedelta(hours=1)
"""Providers that give no refresh token cannot be asked, so their people log in again after this time."""
AT_ONCE = 100


def check_identities() -> int:
    """Check those that are due, the oldest first; returns how many. Several schedulers can run at once."""
    due = timezone.now() - CHECK_AFTER
    with system_scope():
        rows = Identity.objects.filter(ended_at=None, checked_at__lt=due)
        found = list(rows.select_related("provider", "user", "organization").order_by("checked_at")[:AT_ONCE])
    one_by_one(found, _check)
    return len(found)


def _check(identity: Identity) -> None:
    with organization_scope(identity.organization_id):
        if not _claim(identity):
            return
        if identity.refresh_token:
            _ask(identity)
        else:
            _end_old_sessions(identity)


def _claim(identity: Identity) -> bool:
    """Only one scheduler may use a refresh token, which works once. Whoever was checked makes room for the others."""
    mine = Identity.objects.filter(pk=identity.pk, checked_at=identity.checked_at, ended_at=None)
    return bool(mine.update(checked_at=timezone.now()))


def _ask(identity: Identity) -> None:
    """Refresh the identity. If the provider is down, it is retried next time: an outage logs no one out."""
    try:
        tokens = client.refresh(identity.provider, identity.refresh_token)
    except client.RefusedError:
        people.end(identity, "identity provider ended the login")
        return
    except client.ProviderError:
        return
    if tokens.refresh_token:
        row = Identity.objects.get(pk=identity.pk)
        row.refresh_token = tokens.refresh_token
        row.save(update_fields=["refresh_token"])


def _end_old_sessions(identity: Identity) -> None:
    begun_before = timezone.now() - WITHOUT_REFRESH
    organization_id = identity.organization_id
    end_sessions(identity.user, organization_id=organization_id, begun_before=begun_before, why="log in again")
