"""Legal holds: content that must not be deleted."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from aiinfra.names import normal_name
from aiinfra.tenants import audit
from aiinfra.tenants.privacy.models import LegalHold
from aiinfra.tenants.scope import organization_scope


class HeldError(ValueError):
    """A legal hold forbids the erasure."""


@transaction.atomic
def place(*, organization_id: int, reason: str, actor: str, user_ref: str = "") -> LegalHold:
    """Hold a user's content, or the organization's without a user, until it is released."""
    user_ref = normal_name(user_ref)
    with organization_scope(organization_id):
        hold = LegalHold.objects.create(
            organization_id=organization_id, user_ref=user_ref, reason=reason, placed_by=actor
        )
    _record(hold, "legal_hold.placed", actor)
    return hold


@transaction.atomic
def release(*, hold: LegalHold, actor: str) -> bool:
    """End a hold; False if it had ended."""
    with organization_scope(hold.organization_id):
        active = LegalHold.objects.filter(pk=hold.pk, released_at=None)
        if not active.update(released_at=timezone.now(), released_by=actor):
            return False
    _record(hold, "legal_hold.released", actor)
    return True


def held(user_column: str) -> Q:
    """The rows in the scope that no hold covers; `user_column` is the lookup of their user."""
    free = Q()
    for organization_id, user_ref in LegalHold.objects.filter(released_at=None).values_list(
        "organization_id", "user_ref"
    ):
        covered = Q(organization_id=organization_id)
        free &= ~(covered & Q(**{user_column: user_ref}) if user_ref else covered)
    return free


def check_not_held(organization_id: int, user_ref: str) -> None:
    """Raise HeldError if a hold covers any of the user's content, or of the organization's for ""."""
    with organization_scope(organization_id):
        for hold in LegalHold.objects.filter(released_at=None).order_by("id"):
            if hold.covers(user_ref):
                raise HeldError(f"A legal hold prevents this: {hold.reason}")


def _record(hold: LegalHold, verb: str, actor: str) -> None:
    target = f"user {hold.user_ref}" if hold.user_ref else "all content"
    changes = {"reason": [None, hold.reason]}
    audit.record(organization_id=hold.organization_id, actor=actor, verb=verb, target=target[:200], changes=changes)
