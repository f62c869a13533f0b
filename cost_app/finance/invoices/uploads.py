"""Large usage files: stored when they are uploaded, and compared with the ledger by the scheduler.

If a run is killed, its claim expires and the row is picked up again. The import and the row's deletion are one
transaction.
"""

import hashlib
import zlib
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.statements import Parameter
from cost_app.finance.invoices.files import FileError
from cost_app.finance.invoices.invoice_import import NAME_LENGTH, Upload, earlier_import, import_file
from cost_app.models import InvoiceUpload

AT_ONCE_BYTES = 256 * 1024
"""Smaller files are compared within the request: about 0.2 s."""
WAITING_MAX = 10
CLAIM = timedelta(seconds=60)
TRIES_MAX = 3
KEEP_FAILED = timedelta(days=7)
GAVE_UP = "The file could not be read because of an internal error. Ask the administrator of this installation."


class TooManyUploadsError(ValueError):
    """The organization has too many files that wait."""


def upload_file(
    *, organization_id: int, provider: str, name: str, content: bytes, actor: str
) -> Upload | InvoiceUpload:
    """Compare a small file, and store a large one for the scheduler. Raises FileError, and TooManyUploadsError."""
    if len(content) <= AT_ONCE_BYTES:
        return import_file(organization_id=organization_id, provider=provider, name=name, content=content, actor=actor)
    digest = hashlib.sha256(content).hexdigest()
    if earlier := earlier_import(digest):
        return Upload(earlier, is_new=False)
    if _waiting().exclude(sha256=digest).count() >= WAITING_MAX:
        raise TooManyUploadsError(f"{WAITING_MAX} files are waiting. Upload this one when they are done.")
    return _store(
        InvoiceUpload(
            organization_id=organization_id,
            provider=provider,
            file_name=name[:NAME_LENGTH],
            sha256=digest,
            size=len(content),
            content=zlib.compress(content, 1),
            uploaded_by=actor,
            uploaded_at=timezone.now(),
        )
    )


@transaction.atomic
def _store(upload: InvoiceUpload) -> InvoiceUpload:
    """The row of the file: the one that waits already, or a new one instead of one that failed."""
    same = InvoiceUpload.objects.filter(sha256=upload.sha256)
    same.exclude(error="").delete()
    InvoiceUpload.objects.bulk_create([upload], ignore_conflicts=True)
    return same.defer("content").get()


def is_any_waiting() -> bool:
    """Whether a file waits."""
    with system_scope():
        return bool(_oldest_first.run(now=timezone.now()))


def import_waiting() -> None:
    """Compare the files that wait, oldest first."""
    with system_scope():
        waiting = [(each.organization_id, each.pk) for each in _oldest_first.run(now=timezone.now())]
    one_by_one(waiting, _import, _give_up)


def delete_failed() -> None:
    """Forget files that could not be read, after a week."""
    with system_scope():
        InvoiceUpload.objects.exclude(error="").filter(uploaded_at__lt=timezone.now() - KEEP_FAILED).delete()


def _import(waiting: tuple[int, UUID]) -> None:
    organization_id, pk = waiting
    with organization_scope(organization_id):
        if not _claim(pk):
            return
        upload = InvoiceUpload.objects.get(pk=pk)
        if upload.tries > TRIES_MAX:
            _fail(pk, GAVE_UP)
            return
        try:
            done = import_file(
                organization_id=organization_id,
                provider=upload.provider,
                name=upload.file_name,
                content=zlib.decompress(upload.content),
                actor=upload.uploaded_by,
                invoice_id=pk,
            )
            if not done.is_new:
                InvoiceUpload.objects.filter(pk=pk).delete()
        except FileError as error:
            _fail(pk, str(error))


def _claim(pk: UUID) -> bool:
    """Of several schedulers, one reads the file."""
    until = timezone.now() + CLAIM
    return bool(_unclaimed(timezone.now()).filter(pk=pk).update(claimed_until=until, tries=F("tries") + 1))


def _give_up(waiting: tuple[int, UUID]) -> None:
    organization_id, pk = waiting
    with organization_scope(organization_id):
        _fail(pk, GAVE_UP)


def _fail(pk: UUID, error: str) -> None:
    InvoiceUpload.objects.filter(pk=pk).update(error=error[:500], content=b"")


def _waiting() -> QuerySet[InvoiceUpload]:
    return InvoiceUpload.objects.filter(error="")


def _unclaimed(now: datetime | Parameter) -> QuerySet[InvoiceUpload]:
    return _waiting().filter(Q(claimed_until=None) | Q(claimed_until__lt=now))


_oldest_first = InvoiceUpload.objects.prepare_select(
    lambda _: _unclaimed(Parameter("now", "claimed_until")).order_by("uploaded_at").only("organization_id")
)
