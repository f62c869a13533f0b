"""Encrypts secrets in the database, so that a copy of the database doesn't reveal them.

Keys are derived from `SECRET_KEY` with HKDF-SHA256 and a label per purpose, so that values can't be used for another
purpose. Values are encrypted with Fernet (AES-128-CBC and HMAC-SHA256), always with the newest key. The keys in
`SECRET_KEY_FALLBACKS` can still decrypt.
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
    """Neither `SECRET_KEY` nor a fallback can decrypt this value, or it was tampered with."""


def encrypt(text: str) -> str:
    """The text, encrypted with the newest key, as ASCII. Each call returns a different result."""
    return _fernets()[0].encrypt(text.encode()).decode()


def decrypt(encrypted: str) -> str:
    """Decrypt a result of `encrypt`. Raises UndecryptableError."""
    try:
        return MultiFernet(_fernets()).decrypt(encrypted.encode()).decode()
    except (InvalidToken, UnicodeError):
        raise UndecryptableError("None of this installation's keys can decrypt the value.") from None


def is_current(encrypted: str) -> bool:
    """Whether the newest key decrypts it."""
    try:
        _fernets()[0].decrypt(encrypted.encode())
    except (InvalidToken, UnicodeError):
        return False
    return True


def keyed_hash(text: str, purpose: str) -> str:
    """HMAC-SHA256 in hex with the newest key, to look up a row by a secret without storing it."""
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
