"""Encrypts the secrets of second factors with the newest key, after `SECRET_KEY` has changed."""

from allauth.mfa.models import Authenticator
from django.db import transaction

from aiinfra.encryption import UndecryptableError, decrypt, encrypt, is_current

ENCRYPTED = ("secret", "seed")
"""What allauth encrypts in the data of an authenticator app and of recovery codes."""


def rotate_factors() -> int:
    """Encrypt what an earlier key encrypted; returns the number of factors. What no key decrypts is left alone."""
    return sum(_rotate(pk) for pk in list(Authenticator.objects.order_by("pk").values_list("pk", flat=True)))


@transaction.atomic
def _rotate(pk: int) -> bool:
    factor = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if factor is None:
        return False
    older = [name for name in ENCRYPTED if name in factor.data and not is_current(factor.data[name])]
    try:
        for name in older:
            factor.data[name] = encrypt(decrypt(factor.data[name]))
    except UndecryptableError:
        return False
    if older:
        factor.save(update_fields=["data"])
    return bool(older)
