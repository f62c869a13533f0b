"""Verifying the security log and the audit log of every organization."""

from collections.abc import Iterator, Mapping

from django.db.models import QuerySet

from aiinfra.tenants.audit import chain_of
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import owner_scope
from aiinfra.tenants.security_log.chain import SECURITY, Verified, verify
from aiinfra.tenants.security_log.models import SecurityEvent

ROWS_AT_ONCE = 1000

Anchors = Mapping[str, Mapping[int, str]]
"""Chain -> sequence -> the digest that was exported for it."""


def verify_all(anchors: Anchors | None = None) -> Iterator[Verified]:
    """Walk each chain in bounded memory: the security log, then the audit logs of the installation and of each
    organization.
    """
    known = anchors or {}
    events = SecurityEvent.objects.order_by("sequence").iterator(ROWS_AT_ONCE)
    yield verify(SECURITY, events, known.get(SECURITY))
    yield _verify_audit(None, "audit:installation", known)
    for organization_id, slug in Organization.objects.order_by("id").values_list("id", "slug").iterator(ROWS_AT_ONCE):
        yield _verify_audit(organization_id, f"audit:{slug}", known)


def _verify_audit(organization_id: int | None, shown: str, anchors: Anchors) -> Verified:
    with owner_scope(organization_id):
        unlinked = AuditEvent.objects.filter(sequence=None).first()
        links: QuerySet[AuditEvent] = AuditEvent.objects.exclude(sequence=None).order_by("sequence")
        found = verify(chain_of(organization_id), links.iterator(ROWS_AT_ONCE), anchors.get(shown))
    problem = found.problem or (f"the event {unlinked.pk} is not in the chain" if unlinked else "")
    return Verified(shown, found.length, found.digest, problem)
