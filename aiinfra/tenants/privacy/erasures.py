"""Orders and receipts of erasures. `aiinfra.erasure` does the work, because it knows every store."""

import hashlib
import json
import secrets
from typing import Any

from django.db import transaction
from django.utils import timezone

from aiinfra.names import normal_name
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy.holds import check_not_held
from aiinfra.tenants.privacy.models import Erasure
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record


@transaction.atomic
def order(*, organization: Organization, user_ref: str, everything: bool = False, actor: str) -> Erasure:
    """Order the erasure of one user's content, or of everything.

    Raises HeldError while a hold covers any of it, and ValueError without exactly one of the two.
    """
    user_ref = normal_name(user_ref)
    if bool(user_ref) == everything:
        raise ValueError("Name a user, or ask for everything.")
    check_not_held(organization.pk, user_ref)
    with organization_scope(organization.pk):
        erasure = Erasure.objects.create(
            organization=organization,
            everything=everything,
            user_ref=user_ref,
            pseudonym=f"erased-{secrets.token_hex(8)}",
            requested_by=actor,
        )
    audit.record(organization_id=organization.pk, actor=actor, verb="erasure.ordered", target=erasure.pseudonym)
    return erasure


@transaction.atomic
def finish(erasure: Erasure) -> None:
    """Write the receipt and forget whom it was about."""
    erasure = _locked(erasure)
    if erasure.finished_at:
        return
    erasure.finished_at, erasure.user_ref = timezone.now(), ""
    erasure.digest = hashlib.sha256(json.dumps(receipt_of(erasure), sort_keys=True).encode()).hexdigest()
    erasure.save(update_fields=["finished_at", "user_ref", "digest"])
    record(
        Event.ERASED,
        actor=erasure.requested_by,
        organization=erasure.organization.slug,
        target=erasure.pseudonym,
        details={"receipt": str(erasure.pk), "digest": erasure.digest, **erasure.counts},
    )


def receipt_of(erasure: Erasure) -> dict[str, Any]:
    """What the digest of a receipt covers: who, when, and how much of each store."""
    return {
        "id": str(erasure.pk),
        "organization": erasure.organization.slug,
        "subject": "everything" if erasure.everything else erasure.pseudonym,
        "requestedBy": erasure.requested_by,
        "requestedAt": erasure.requested_at.isoformat(),
        "finishedAt": erasure.finished_at.isoformat() if erasure.finished_at else None,
        "counts": erasure.counts,
    }


def add(erasure: Erasure, store: str, number: int) -> None:
    """Add to the receipt; call it in the transaction of what was erased."""
    if number:
        with transaction.atomic():
            row = _locked(erasure)
            row.counts[store] = row.counts.get(store, 0) + number
            row.save(update_fields=["counts"])


def _locked(erasure: Erasure) -> Erasure:
    """The current row: two processes may continue the same erasure."""
    rows = Erasure.objects.select_for_update(of=("self",)).select_related("organization")
    return rows.get(pk=erasure.pk)
