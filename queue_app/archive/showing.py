"""What pages and API responses show for archived requests."""

from datetime import datetime
from uuid import UUID

from cost_app import create_cost_optimizer
from queue_app.models import ArchivedMonth

cost = create_cost_optimizer()


def archived_between(since: datetime | None, until: datetime | None) -> list[ArchivedMonth]:
    """The organization's archived months that have an instant in the period, newest first. None means no bound."""
    months = ArchivedMonth.objects.all()
    if since:
        months = months.filter(ends_at__gt=since)
    if until:
        months = months.filter(starts_at__lt=until)
    return list(months)


def archived_with(request_id: UUID | str) -> ArchivedMonth | None:
    """The archived month of a request that is no longer in the database; also None for an invalid ID.

    Its first attempt has the time at which it was accepted. A request that was never sent has no attempt.
    """
    try:
        attempt = next(iter(cost.attempts_of([UUID(str(request_id))])), None)
    except ValueError:
        return None
    if attempt is None:
        return None
    return ArchivedMonth.objects.filter(starts_at__lte=attempt.created_at, ends_at__gt=attempt.created_at).first()


def sentence(month: ArchivedMonth) -> str:
    """Where the requests of a month are."""
    return f"The requests of {month} were archived on {month.archived_at:%Y-%m-%d}."
