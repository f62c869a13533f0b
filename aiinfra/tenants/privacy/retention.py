"""How long content is kept: by the installation, or shorter by an organization, and not deleted while it is held."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from aiinfra.tenants import audit
from aiinfra.tenants.privacy.holds import held
from aiinfra.tenants.privacy.models import RetentionPolicy
from aiinfra.tenants.scope import organization_scope


@dataclass(frozen=True)
class Retention:
    """Days that ended requests, and their prompts and answers, are kept."""

    request_days: int
    content_days: int


def longest() -> Retention:
    """The installation's retention, which no organization exceeds."""
    return Retention(settings.QUEUE_RETENTION_DAYS, settings.QUEUE_CONTENT_RETENTION_DAYS)


def retention_of(organization_id: int) -> Retention:
    """An organization's retention."""
    with organization_scope(organization_id):
        return _shorter(RetentionPolicy.objects.first())


@transaction.atomic
def change_retention(*, organization_id: int, request_days: int, content_days: int, actor: str) -> None:
    """Keep content for this many days. Raises ValueError outside of 1 to the installation's days."""
    most = longest()
    if not 1 <= content_days <= request_days:
        raise ValueError("Content can't be kept longer than its request.")
    if request_days > most.request_days or content_days > most.content_days:
        raise ValueError("The installation keeps content for a shorter time.")
    before = retention_of(organization_id)
    with organization_scope(organization_id):
        values = {"request_days": request_days, "content_days": content_days}
        RetentionPolicy.objects.update_or_create(organization_id=organization_id, defaults=values)
    changes = {name: [getattr(before, name), value] for name, value in values.items()}
    audit.record(
        organization_id=organization_id, actor=actor, verb="retention.changed", target="retention", changes=changes
    )


@dataclass(frozen=True)
class Due:
    """Rows of some organizations that are past their retention, and when it ended."""

    where: Q
    contents_before: datetime
    requests_before: datetime

    def of(self, rows: "QuerySet[Model]") -> "QuerySet[Model]":
        """The rows of these organizations, without those that are held."""
        return rows.filter(self.where)


def due(user_column: str = "user_ref") -> Iterator[Due]:
    """What may be deleted in the scope: the organizations without a policy together, then each one with its own.

    `user_column` is the lookup of the user in the rows that are filtered.
    """
    now, policies = timezone.now(), {row.organization_id: row for row in RetentionPolicy.objects.all()}
    holds = held(user_column)
    yield _due(now, ~Q(organization_id__in=list(policies)) & holds, longest())
    for organization_id, policy in policies.items():
        yield _due(now, Q(organization_id=organization_id) & holds, _shorter(policy))


def _due(now: datetime, where: Q, kept: Retention) -> Due:
    return Due(where, now - timedelta(days=kept.content_days), now - timedelta(days=kept.request_days))


def _shorter(policy: RetentionPolicy | None) -> Retention:
    most = longest()
    if policy is None:
        return most
    return Retention(min(policy.request_days, most.request_days), min(policy.content_days, most.content_days))
