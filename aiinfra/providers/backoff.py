"""How long to wait before retrying a failed call."""

import random
from collections.abc import Callable

from django.conf import settings

RETRY_AFTER_MAX_S = 300.0
"""Longer waits that a provider asks for are capped here."""


def backoff_s(retry: int, retry_after_s: float | None, random: Callable[[], float] = random.random) -> float:
    """Seconds to wait before retry `retry` (0 for the first): full jitter over 1, 2, 4 ... times the base, capped.

    The jitter is added to the provider's `Retry-After`, so that no retry is early and they don't all arrive at once.
    """
    ceiling = min(settings.RETRY_BASE_S * 2 ** min(retry, 30), settings.RETRY_MAX_S)
    wish = min(max(retry_after_s or 0.0, 0.0), RETRY_AFTER_MAX_S)
    return float(wish + random() * ceiling)
