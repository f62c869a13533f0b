"""The text of an API key.

It has the form `aik_<id, 8>_<secret, 32>_<checksum, 6>` in base62. The id finds the row; the secret has 190 bits; the
checksum rejects a mistyped key without a query.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
CREDENTIAL = re.compile(r"aik_([0-9A-Za-z]{8})_([0-9A-Za-z]{32})_([0-9A-Za-z]{6})", re.ASCII)
SCHEME = "bearer "


@dataclass(frozen=True)
class Credential:
    """The parts of a well-formed key, and the SHA-256 of its text, by which processes remember it."""

    key_id: str
    secret: str
    digest: bytes


def header_of(meta: Mapping[str, Any]) -> str:
    """The `Authorization` header in a WSGI environment, or `x-api-key` as one: Anthropic's clients send the key there,
    and a proxy may need another scheme of `Authorization`. Empty without either.
    """
    sent, key = str(meta.get("HTTP_AUTHORIZATION", "")), meta.get("HTTP_X_API_KEY")
    return f"Bearer {key}" if key and not sent.lower().startswith(SCHEME) else sent


def parse(header_value: object) -> Credential | None:
    """Parse `Bearer <key>`, with any blanks between and around them; None unless the checksum is right."""
    if not isinstance(header_value, str) or header_value[: len(SCHEME)].lower() != SCHEME:
        return None
    text = header_value[len(SCHEME) :].strip(" ")
    match = CREDENTIAL.fullmatch(text)
    if match is None or checksum(text[:-7]) != match[3]:
        return None
    return Credential(key_id=match[1], secret=match[2], digest=hashlib.sha256(text.encode()).digest())


def checksum(text: str) -> str:
    """CRC-32 as six base62 characters: detects typing errors, proves nothing."""
    number, characters = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, len(BASE62))
        characters = BASE62[digit] + characters
    return characters


def new() -> tuple[str, str, str]:
    """The id, the secret and the text of a new key."""
    key_id, secret = _random(8), _random(32)
    body = f"aik_{key_id}_{secret}"
    return key_id, secret, f"{body}_{checksum(body)}"


def _random(length: int) -> str:
    return "".join(secrets.choice(BASE62) for _ in range(length))
