"""Moves a closed month's requests to the archive, in steps that can be repeated after a kill at any moment.

1. Write the month's directory, read it back, and give it its name.
2. Record in the database where the month is, so that pages show it before the first row is deleted.
3. Delete the requests in batches: only those that the archive has exactly as they are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from aiinfra.keyset import side
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy.holds import held
from cost_app import create_cost_optimizer
from cost_app.facade import CloseState, Month
from queue_app.archive import files
from queue_app.archive.files import ArchiveError
from queue_app.archive.lines import Line, id_of, lines_of, open_attempt_of, text_of
from queue_app.models import ENDED, AIRequest, ArchivedMonth, RequestContent

cost = create_cost_optimizer()

BATCH = 500
USAGE_COMES_UNTIL = timedelta(days=32)
"""After the end of a month: usage can be reported up to 31 days late."""
PLACE = ("created_at", "id")


@dataclass(frozen=True)
class Moved:
    """A month in the archive. `kept` requests are still in the database, because they have changed since."""

    month: ArchivedMonth
    kept: int


def movable(organization_id: int, older_than: timedelta) -> Iterator[tuple[Month, str]]:
    """The months that ended so long ago and have requests left, oldest first, each with what keeps it from moving."""
    closes = cost.close_states(organization_id)
    noted = set(ArchivedMonth.objects.values_list("first_day", flat=True))
    for month in reversed(cost.months_of(organization_id)):
        if month.ends_at + older_than > timezone.now() or not _requests(month).exists():
            continue
        yield month, "" if month.first_day in noted else _obstacle(month, closes.get(month.slug))


def _obstacle(month: Month, close: CloseState | None) -> str:
    requests = _requests(month)
    if close is None:
        return "it is not closed"
    if not close.is_verified:
        return "its close was changed: the signature does not match"
    if month.ends_at + USAGE_COMES_UNTIL > timezone.now():
        return f"usage can be reported until {month.ends_at + USAGE_COMES_UNTIL:%Y-%m-%d}"
    if unfinished := requests.exclude(status__in=ENDED, counted=True).count():
        return f"{unfinished} requests have not ended"
    if requests.count() > requests.filter(held("user_ref")).count():
        return "a legal hold covers some of its requests"
    if contents := requests.filter(content__isnull=False).count():
        return f"{contents} prompts are still kept, and the archive takes none"
    return ""


def move(organization: Organization, month: Month, root: Path, actor: str) -> Moved:
    """Archive a movable month, or finish what an earlier run began. Needs the organization's scope.

    Raises ArchiveError, and OSError if the disk does not take the files.
    """
    directory = directory_of(root, organization, month.first_day)
    noted = ArchivedMonth.objects.filter(first_day=month.first_day).first()
    if noted is None:
        if not directory.exists():  # a run that was killed may have got this far
            files.write(directory, _lines(month), _about(organization, month, actor))
        noted = _note(organization, month, directory, actor)
    check(noted, directory)
    return Moved(noted, _delete(files.lines_in(directory)))


def directory_of(root: Path, organization: Organization, first_day: date) -> Path:
    """Where an organization's month is archived."""
    return root.resolve() / organization.slug / first_day.isoformat()


def check(noted: ArchivedMonth, directory: Path) -> None:
    """Raise ArchiveError unless the directory holds the archive that the database knows, intact."""
    files.verified(directory)
    if files.manifest_digest(directory) != noted.sha256:
        raise ArchiveError(f"{directory} is not what was archived on {noted.archived_at:%Y-%m-%d}")


def _about(organization: Organization, month: Month, actor: str) -> dict[str, str]:
    return {
        "organization": organization.slug,
        "month": str(month),
        "starts_at": month.starts_at.isoformat(),
        "ends_at": month.ends_at.isoformat(),
        "archived_by": actor,
        "archived_at": timezone.now().isoformat(),
    }


@transaction.atomic
def _note(organization: Organization, month: Month, directory: Path, actor: str) -> ArchivedMonth:
    counted = files.verified(directory)
    noted = ArchivedMonth.objects.create(
        organization=organization,
        first_day=month.first_day,
        name=str(month),
        starts_at=month.starts_at,
        ends_at=month.ends_at,
        requests=counted.requests,
        nano=counted.nano,
        directory=str(directory),
        sha256=files.manifest_digest(directory),
    )
    audit.record(
        organization_id=organization.pk,
        actor=actor,
        verb="month.archived",
        target=str(month),
        changes={"requests": [None, counted.requests]},
    )
    return noted


def _requests(month: Month) -> "QuerySet[AIRequest]":
    return AIRequest.objects.filter(created_at__gte=month.starts_at, created_at__lt=month.ends_at)


def _lines(month: Month) -> Iterator[Line]:
    rows, after = _requests(month).order_by(*PLACE), Q()
    while batch := list(rows.filter(after)[:BATCH]):
        for _, line in lines_of(batch):
            if attempt := open_attempt_of(line):
                raise ArchiveError(f"attempt {attempt} is not settled")
            yield line
        after = side(PLACE, (batch[-1].created_at, batch[-1].id), "gt")


def _delete(lines: Iterable[Line]) -> int:
    """Returns how many requests have changed and stay."""
    kept, left = 0, iter(lines)
    while batch := {id_of(line): text_of(line) for line in islice(left, BATCH)}:
        kept += _delete_unchanged(batch)
    return kept


@transaction.atomic
def _delete_unchanged(archived: dict[UUID, str]) -> int:
    rows = list(AIRequest.objects.filter(id__in=archived).order_by("id").select_for_update())
    with_content = set(RequestContent.objects.filter(request_id__in=archived).values_list("request_id", flat=True))
    gone = [
        request.id
        for request, line in lines_of(rows)
        if text_of(line) == archived[request.id] and request.id not in with_content
    ]
    cost.forget_unsent(gone)
    AIRequest.objects.filter(id__in=gone).delete()
    return len(rows) - len(gone)
