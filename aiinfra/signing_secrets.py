"""Secrets that sign webhooks, in the format of the Standard Webhooks specification."""

import base64
import secrets

PREFIX = "whsec_"
BYTES = 24
LENGTH_MAX = 100


def new_signing_secret() -> str:
    """A random secret."""
    return f"{PREFIX}{base64.b64encode(secrets.token_bytes(BYTES)).decode()}"
