"""Idempotency: a retried write with the same key returns the first response and changes nothing.

API calls send the key in the `Idempotency-Key` header. Forms send one that was generated when they were rendered (see
`aiinfra.idempotent_forms`). Answers are kept for one day. Enqueue, chat and track store the key in their row instead.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from aiinfra.tenants.models import OnceAnswer
from aiinfra.tenants.scope import owner_scope, system_scope

KEPT = timedelta(hours=24)
"""How long a response is kept, the same as at Stripe."""
ABANDONED = timedelta(minutes=2)
"""A write without a response after this time is abandoned: its process died. Longer than any request may run."""
FORGET_BATCH = 1_000
FORGET_EVERY_S = 600


class KeyReusedError(Exception):
    """The key was already used with a different request."""


class InProgressError(Exception):
    """The first request with this key has no answer yet."""


@dataclass(frozen=True)
class Answer:
    """The answer to a write: an HTTP status, and the JSON or, for a form, the redirect target."""

    status: int
    body: str
    is_repeat: bool = False


def digest_of(*parts: object) -> str:
    """SHA-256 of the parts in order, in hex."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def run_once(
    owner_id: int | None, key: str, fingerprint: str, act: Callable[[], Answer], *, is_atomic: bool = True
) -> Answer:
    """Run `act`, or return the stored answer for this key.

    With `is_atomic`, the effect and the stored answer are one transaction: a crash leaves both or neither, and a second
    caller waits for the first. Otherwise the key is claimed first, for writes that use Redis or other servers. An
    exception in `act` releases the key. Raises KeyReusedError and InProgressError.
    """
    unit: AbstractContextManager[None] = transaction.atomic() if is_atomic else nullcontext()
    with owner_scope(owner_id), unit:
        row, is_new = claim_key(owner_id, key, fingerprint)
        if not is_new:
            return _kept(row, fingerprint)
        try:
            answer = act()
        except BaseException:
            if not is_atomic:
                release_key(row)
            raise
        store_answer(row, answer)
    return answer


def claim_key(owner_id: int | None, key: str, fingerprint: str) -> tuple[OnceAnswer, bool]:
    """Claim the key; returns its row, and whether the caller should act. Call it in the owner's scope.

    Raises InProgressError if the key is being released at this moment.
    """
    digest, now = digest_of(owner_id, key), timezone.now()
    gone = Q(created_at__lt=now - KEPT) | Q(status=None, created_at__lt=now - ABANDONED)
    OnceAnswer.objects.filter(gone, digest=digest).delete()
    row = OnceAnswer(organization_id=owner_id, digest=digest, fingerprint=fingerprint, created_at=now)
    OnceAnswer.objects.bulk_create([row], ignore_conflicts=True)
    found = OnceAnswer.objects.filter(digest=digest).first()
    if found is None:
        raise InProgressError
    return found, found.pk == row.pk


def store_answer(row: OnceAnswer, answer: Answer) -> None:
    """Store the answer."""
    OnceAnswer.objects.filter(pk=row.pk).update(status=answer.status, body=answer.body)


def release_key(row: OnceAnswer) -> None:
    """Release the key of a write that changed nothing."""
    OnceAnswer.objects.filter(pk=row.pk).delete()


def delete_expired_answers() -> int:
    """Delete expired answers, at most one batch; returns how many."""
    with system_scope():
        old = OnceAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).order_by("created_at")
        return OnceAnswer.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:FORGET_BATCH])).delete()[0]


def _kept(row: OnceAnswer, fingerprint: str) -> Answer:
    if row.fingerprint != fingerprint:
        raise KeyReusedError
    if row.status is None:
        raise InProgressError
    return Answer(row.status, row.body, is_repeat=True)


def erase_stored_answers(is_theirs: Callable[[list[str]], set[str]], count: Callable[[str, int], None]) -> None:
    """Erase the scope's stored answers that contain a response to one of these requests; a retry then gets null."""
    for row in OnceAnswer.objects.filter(body__contains='"response":{').iterator():
        body = json.loads(row.body)
        if is_theirs([str(body.get("requestId") or "")]):
            with transaction.atomic():
                changed = json.dumps({**body, "response": None})
                count("idempotent answers", OnceAnswer.objects.filter(pk=row.pk).update(body=changed))
