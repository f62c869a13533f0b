"""How long to wait before a failed call is tried again."""

import random
from collections.abc import Callable

from django.conf import settings

RETRY_AFTER_MAX_S = 300.0
"""A provider that asks for more is not waited for so long."""


def backoff_s(retry: int, retry_after_s: float | None, random: Callable[[], float] = random.random) -> float:
    """Seconds to wait before repeat `retry` (0 for the first): full jitter over 1, 2, 4 ... times the base, capped.

    The jitter comes on top of the provider's own wish, so that nobody is early and not all come at once.
    """
    ceiling = min(settings.RETRY_BASE_S * 2 ** min(retry, 30), settings.RETRY_MAX_S)
    wish = min(max(retry_after_s or 0.0, 0.0), RETRY_AFTER_MAX_S)
    return float(wish + random() * ceiling)
