"""Erases the content of requests. Their attempts and costs stay."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from queue_app import control
from queue_app.models import ENDED, LIVE, AIRequest, RequestContent

BATCH = 500
ERASED_VALUES: dict[str, Any] = {
    "conversation_id": "",
    "metadata": {},
    "error_message": "",
    "idempotency_key": None,
    "fingerprint": "",
    "webhook": None,
}
"""What else a client wrote into a request. Tags are labels of costs, and stay with them."""

Count = Callable[[str, int], None]
"""(store, number): called in the transaction of the change."""


def cancel_live(where: Q, actor: str) -> None:
    """Cancel the requests that have not ended; those in progress lose their answer."""
    for request in AIRequest.objects.filter(where, status__in=LIVE):
        try:
            control.cancel(request, actor=actor)
        except control.WrongStatusError:
            continue  # it has ended in the meantime


def erase_requests(where: Q, pseudonym: str, count: Count) -> None:
    """Delete prompts and answers, and replace the user by the pseudonym. A second run continues the first."""
    left = AIRequest.objects.filter(where, status__in=ENDED).exclude(user_ref=pseudonym)
    while ids := list(left.values_list("id", flat=True)[:BATCH]):
        with transaction.atomic():
            count("contents", RequestContent.objects.filter(request_id__in=ids).delete()[0])
            count("requests", AIRequest.objects.filter(id__in=ids).update(user_ref=pseudonym, **ERASED_VALUES))


def requests_among(pseudonym: str, ids: Iterable[str]) -> set[str]:
    """Which of the requests carry the pseudonym."""
    known = AIRequest.objects.filter(id__in=[each for each in ids if each], user_ref=pseudonym)
    return {str(each) for each in known.values_list("id", flat=True)}


def until(moment: datetime, user_ref: str) -> Q:
    """A user's requests up to a moment; everybody's for ""."""
    return Q(created_at__lte=moment, **({"user_ref": user_ref} if user_ref else {}))
