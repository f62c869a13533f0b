"""Hashes the secrets of API keys with a pepper that is not in the database. The pepper can be replaced.

`API_KEY_PEPPER` hashes new keys. A key that was hashed with one of `API_KEY_PEPPER_FALLBACKS` keeps working, and its
next use hashes it with the new pepper. Each row names its pepper, so `rotatesecrets --check` knows who still needs one.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from aiinfra.tenants.models import ApiKey
from aiinfra.tenants.scope import system_scope

ID_LENGTH = 16


@dataclass(frozen=True)
class PepperCounts:
    """How many usable keys were hashed with the newest pepper, with a fallback, and with one that is missing."""

    current: int
    older: int
    lost: int


def digest_of(secret: str) -> str:
    """What the database stores of a secret."""
    return _digest(settings.API_KEY_PEPPER, secret)


def pepper_id() -> str:
    """Identifies the newest pepper without revealing it."""
    return id_of(settings.API_KEY_PEPPER)


def id_of(pepper: str) -> str:
    """A prefix of the hash of the empty string, which is never a secret."""
    return _digest(pepper, "")[:ID_LENGTH]


def verifies(key: ApiKey | None, secret: str) -> bool:
    """Whether the secret is the key's. Takes equally long for every key, and for none."""
    stored = key.secret_digest if key else digest_of("")
    return sum(hmac.compare_digest(stored, _digest(pepper, secret)) for pepper in _peppers()) > 0


def renew(key: ApiKey, secret: str) -> None:
    """Hash a verified secret with the newest pepper; costs nothing if it is already."""
    if key.pepper_id == pepper_id():
        return
    with system_scope():
        same = ApiKey.objects.filter(pk=key.pk, secret_digest=key.secret_digest)
        same.update(secret_digest=digest_of(secret), pepper_id=pepper_id())


def count_by_pepper() -> PepperCounts:
    """The keys that are neither revoked nor expired."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    with system_scope():
        usable = ApiKey.objects.filter(unexpired, revoked_at=None).order_by().values_list("pepper_id")
        keys = dict(usable.annotate(keys=Count("id")))
    current = keys.pop(pepper_id(), 0)
    older = sum(keys.pop(id_of(pepper), 0) for pepper in settings.API_KEY_PEPPER_FALLBACKS)
    return PepperCounts(current, older, sum(keys.values()))


def _peppers() -> Sequence[str]:
    return [settings.API_KEY_PEPPER, *settings.API_KEY_PEPPER_FALLBACKS]


def _digest(pepper: str, secret: str) -> str:
    return hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()
