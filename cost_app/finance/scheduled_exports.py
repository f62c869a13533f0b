"""Scheduled exports, written to `EXPORT_DIRECTORY/<organization>/<kind>_<month>.csv`.

The current month and those that ended within 32 days are rewritten on each run, because usage can be reported up to 31
days late. Files are replaced atomically, and writing one twice gives the same content.
Each result is stored for the exports page; failures are reported on the organization's channels.
"""

import csv
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from django.conf import settings
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from aiinfra.csv_safe import safe_row
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Severity
from aiinfra.notifications.outbox import send
from aiinfra.templatetags.formats import full_stop
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.exports import LEDGER_COLUMNS, ledger_rows
from cost_app.finance.focus import FOCUS_COLUMNS, focus_between
from cost_app.finance.months import Month, months_of
from cost_app.finance.statement import STATEMENT_COLUMNS, statement_rows
from cost_app.models import ExportDelivery

COLLECTS = timedelta(days=32)
"""How long after its end a month is rewritten: usage can be reported up to 31 days late."""
RETRY = timedelta(minutes=10)
STALE = timedelta(days=1)
ERROR_LENGTH = 200
SHOWN = 36
SLUG = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)

Rows = Iterable[Iterable[object]]


@dataclass(frozen=True)
class Kind:
    """A kind of file: its header and its rows, read in the organization's scope."""

    header: Sequence[str]
    rows: Callable[[Organization, Month], Rows]


KINDS = {
    "focus": Kind(FOCUS_COLUMNS, lambda whose, month: focus_between(whose, month.starts_at, month.ends_at)),
    "ledger": Kind(LEDGER_COLUMNS, lambda whose, month: ledger_rows(whose, month.starts_at, month.ends_at)),
    "statement": Kind(STATEMENT_COLUMNS, statement_rows),
}


def deliver_due() -> None:
    """Write the files that are due, for every organization. Does nothing if no directory is configured."""
    if settings.EXPORT_DIRECTORY:
        for organization in Organization.objects.order_by("pk"):
            deliver(organization)


def deliver(organization: Organization, *, again: bool = False) -> list[ExportDelivery]:
    """Write the organization's files that are due, or all of them with `again`. A failure does not stop the others."""
    with organization_scope(organization.pk):
        now = timezone.now()
        months = [month for month in months_of(organization.pk) if month.ends_at + COLLECTS > now]
        earlier = {(row.kind, row.first_day): row for row in ExportDelivery.objects.all()}
        return [
            _deliver(organization, month, kind)
            for month in months
            for kind in KINDS
            if again or _is_due(earlier.get((kind, month.first_day)), now)
        ]


def _is_due(earlier: ExportDelivery | None, now: datetime) -> bool:
    if earlier is None:
        return True
    wait = RETRY if earlier.error else timedelta(hours=settings.EXPORT_EVERY_HOURS)
    return earlier.attempted_at + wait <= now


def _deliver(organization: Organization, month: Month, kind: str) -> ExportDelivery:
    try:
        path = path_of(Path(settings.EXPORT_DIRECTORY or ""), organization.slug, f"{kind}_{month.slug}.csv")
        digest, size = write_file(path, KINDS[kind].header, KINDS[kind].rows(organization, month))
    except OSError as error:
        return _note(organization, month, kind, error=error.strerror or type(error).__name__)
    except (ValueError, DatabaseError) as error:
        return _note(organization, month, kind, error=str(error))
    return _note(organization, month, kind, sha256=digest, size=size, delivered_at=timezone.now())


def path_of(root: Path, slug: str, name: str) -> Path:
    """The file's path in the organization's directory, which is created. Raises ValueError for a path outside."""
    folder = root.joinpath(slug)
    if not SLUG.fullmatch(slug) or folder.is_symlink():
        raise ValueError("the organization's directory must be a real directory inside the export directory")
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    return folder.joinpath(name)


def write_file(path: Path, header: Iterable[object], rows: Rows) -> tuple[str, int]:
    """Write a CSV file atomically. Returns its SHA-256 and its size in bytes. Raises OSError."""
    _remove_stale(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            _write(file, header, rows)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o640)
        digest, size = _digest(Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return digest, size


def _write(file: TextIO, header: Iterable[object], rows: Rows) -> None:
    writer = csv.writer(file)
    writer.writerow(safe_row(header))
    writer.writerows(safe_row(row) for row in rows)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _remove_stale(path: Path) -> None:
    """Delete temporary files of killed processes."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        if datetime.fromtimestamp(left.stat().st_mtime, UTC) < timezone.now() - STALE:
            left.unlink(missing_ok=True)


@transaction.atomic
def _note(organization: Organization, month: Month, kind: str, *, error: str = "", **columns: object) -> ExportDelivery:
    """Store the file's result. The first failure after a success sends a notification."""
    before = ExportDelivery.objects.filter(kind=kind, first_day=month.first_day).first()
    row, _ = ExportDelivery.objects.update_or_create(
        organization=organization,
        kind=kind,
        first_day=month.first_day,
        defaults={"error": error[:ERROR_LENGTH], "attempted_at": timezone.now(), **columns},
    )
    if error and not (before and before.error):
        send(organization.pk, _failure(row, month))
    return row


def _failure(row: ExportDelivery, month: Month) -> Notification:
    return Notification(
        type="export.failed",
        severity=Severity.HIGH,
        title=f"The scheduled {row.kind} file of {month} was not written at {row.organization}",
        text=f"{full_stop(row.error)} Retrying every ten minutes.",
        path=reverse("finance_exports"),
        data={"kind": row.kind, "month": month.slug, "error": row.error},
        topic=f"export:{row.kind}",
    )


def deliveries() -> Iterator[ExportDelivery]:
    """The organization's files of about a year, newest month first."""
    return ExportDelivery.objects.order_by("-first_day", "kind")[:SHOWN].iterator()
