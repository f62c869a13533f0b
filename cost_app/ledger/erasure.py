"""Erases the texts of attempts. Ledger rows and sums stay: they cannot be changed, and keep the client's user names."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import Q

from cost_app.models import Attempt

BATCH = 500
ERASED_VALUES = {"error_message": "", "prompt_digest": "", "prefix_digest": ""}
"""A provider's message may quote the prompt; a digest shows whether a known text was sent."""


def erase_attempts(user_ref: str, count: Callable[[str, int], None]) -> None:
    """Empty the texts of a user's attempts, or of all in the scope for "". A second run finds nothing."""
    where = Q(user_ref=user_ref) if user_ref else Q()
    left = Attempt.objects.filter(where).exclude(**ERASED_VALUES)
    while ids := list(left.values_list("id", flat=True)[:BATCH]):
        with transaction.atomic():
            count("attempts", Attempt.objects.filter(id__in=ids).update(**ERASED_VALUES))
