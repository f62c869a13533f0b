"""Encrypts what the database must keep and a copy of the database must not give away.

Keys are derived from `SECRET_KEY` with HKDF-SHA256 and a label for each purpose, so that no purpose can use what was
made for another. Values are encrypted with Fernet (AES-128-CBC and HMAC-SHA256). The newest key writes, and the keys of
`SECRET_KEY_FALLBACKS` also read.
"""

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

STORED_VALUES = "aiinfra: values in the database"
KEY_BYTES = 32


class UndecryptableError(ValueError):
    """Neither `SECRET_KEY` nor a fallback decrypts this value, or it was changed."""


def encrypt(text: str) -> str:
    """The text, encrypted with the newest key, in ASCII. Encrypting it again gives another result."""
    return _fernets()[0].encrypt(text.encode()).decode()


def decrypt(encrypted: str) -> str:
    """The text behind a result of `encrypt`. Raises UndecryptableError."""
    try:
        return MultiFernet(_fernets()).decrypt(encrypted.encode()).decode()
    except (InvalidToken, UnicodeError):
        raise UndecryptableError("No key of this installation decrypts the value.") from None


def is_current(encrypted: str) -> bool:
    """Whether the newest key decrypts it."""
    try:
        _fernets()[0].decrypt(encrypted.encode())
    except (InvalidToken, UnicodeError):
        return False
    return True


def keyed_hash(text: str, purpose: str) -> str:
    """HMAC-SHA256 in hex with the newest key: finds a row by a value that only its owner has."""
    return _hash(text, derived_key(settings.SECRET_KEY, purpose))


def keyed_hashes(text: str, purpose: str) -> list[str]:
    """The hashes with every key, newest first."""
    return [_hash(text, derived_key(secret, purpose)) for secret in _secrets()]


@lru_cache(maxsize=64)
def derived_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose from a secret: HKDF-SHA256 (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret.encode())


def _secrets() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _fernets() -> list[Fernet]:
    return [_fernet(secret) for secret in _secrets()]


@lru_cache(maxsize=16)
def _fernet(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derived_key(secret, STORED_VALUES)))


def _hash(text: str, key: bytes) -> str:
    return hmac.new(key, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
