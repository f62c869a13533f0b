"""State changes of batches and their calls. A call and its batch's counters change in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import pydantic_core
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from aiinfra.batches import files
from aiinfra.batches.jsonl import Line, lines_of
from aiinfra.batches.models import CANCELLABLE, Batch, BatchLine, BatchStatus, LineState, Purpose, StoredFile
from aiinfra.batches.packing import pack, unpack

NotifyEnd = Callable[[Batch], None]
OPEN = (LineState.WAITING, LineState.SENT)
ERRORS_MAX = 50
INSERT_BATCH = 200
STOP_BATCH = 500
WRITE_BATCH = 500


@dataclass(frozen=True)
class Used:
    """A call's cost in nano-dollars and its tokens."""

    cost_nano: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


def copy_chunk(batch: Batch, notify_end: NotifyEnd) -> None:
    """Copy the next lines of the input file; after the last ones, the batch is in progress.

    A line for another endpoint or a deleted file fails the batch, and `notify_end` is called with it.
    """
    file = StoredFile.objects.filter(id=batch.input_id).first()
    content = files.chunk_of(file, batch.copied_chunks) if file else b""
    if file is None or not content:
        _fail(batch, [{"code": "file_not_found", "message": "The input file was deleted."}], notify_end)
        return
    lines = list(lines_of(content, batch.copied_lines + 1))
    if wrong := [line for line in lines if line.url != batch.endpoint]:
        _fail(batch, [_other_endpoint(line, batch) for line in wrong[:ERRORS_MAX]], notify_end)
        return
    is_last = batch.copied_chunks + 1 == file.chunks
    begun = {"status": BatchStatus.IN_PROGRESS, "in_progress_at": timezone.now()} if is_last else {}
    copied = batch.copied_lines + content.count(b"\n")
    with transaction.atomic():
        moved = Batch.objects.filter(
            id=batch.id, status=BatchStatus.VALIDATING, copied_chunks=batch.copied_chunks
        ).update(copied_chunks=F("copied_chunks") + 1, copied_lines=copied, total=F("total") + len(lines), **begun)
        if moved:
            BatchLine.objects.bulk_create((_row(batch, line) for line in lines), INSERT_BATCH)


def mark_sent(line: BatchLine, request_id: Any) -> None:
    """Record the request of a call. Does nothing if the call has ended."""
    BatchLine.objects.filter(id=line.id, state=LineState.WAITING).update(state=LineState.SENT, request_id=request_id)


def settle(line: BatchLine, result: dict[str, Any], *, is_completed: bool, used: Used | None = None) -> bool:
    """End a call with its result, and count it. False if it had already ended."""
    state, counter = (LineState.COMPLETED, "completed") if is_completed else (LineState.FAILED, "failed")
    added = {counter: 1, **asdict(used or Used())}
    with transaction.atomic():
        columns = {"state": state, "body": b"", "result": pack(result)}
        ended = BatchLine.objects.filter(id=line.id, state__in=OPEN).update(**columns)
        if ended:
            Batch.objects.filter(id=line.batch_id).update(**{name: F(name) + more for name, more in added.items()})
    return bool(ended)


def begin_to_cancel(batch: Batch, actor: str) -> bool:
    """Send no further calls. False if the batch can no longer be cancelled."""
    now = timezone.now()
    return bool(
        Batch.objects.filter(id=batch.id, status__in=CANCELLABLE).update(
            status=BatchStatus.CANCELLING, cancelling_at=now, cancelled_by=actor, next_step_at=now
        )
    )


def expire(batch: Batch) -> None:
    """Send no further calls, because the completion window has passed."""
    batch.expired_at = timezone.now()
    Batch.objects.filter(id=batch.id, status=BatchStatus.IN_PROGRESS).update(expired_at=batch.expired_at)


def stop_waiting(batch: Batch, result: dict[str, Any]) -> bool:
    """End some unsent calls, all with the same error. Returns whether some may be left."""
    with transaction.atomic():
        waiting = BatchLine.objects.filter(batch=batch, state=LineState.WAITING)
        ids = list(waiting.values_list("id", flat=True)[:STOP_BATCH])
        columns = {"state": LineState.FAILED, "body": b"", "result": pack(result)}
        ended = BatchLine.objects.filter(id__in=ids, state=LineState.WAITING).update(**columns)
        Batch.objects.filter(id=batch.id).update(failed=F("failed") + ended)
    return len(ids) == STOP_BATCH


def finalize(batch: Batch) -> None:
    """Move on to writing the results, once all calls have ended."""
    Batch.objects.filter(id=batch.id, status=BatchStatus.IN_PROGRESS).update(
        status=BatchStatus.FINALIZING, finalizing_at=timezone.now()
    )


@transaction.atomic
def write_results(batch: Batch, notify_end: NotifyEnd) -> bool:
    """Move some results into the files. After the last ones, finishes the batch. Returns whether it is finished.

    `notify_end` is called with the batch in the transaction that finishes it.
    """
    batch = Batch.objects.select_for_update(of=("self",)).get(id=batch.id)
    if batch.finished_at:
        return True
    lines = _next_results(batch)
    for column, state in (("output_id", LineState.COMPLETED), ("error_id", LineState.FAILED)):
        if texts := [_text(line) for line in lines if line.state == state]:
            files.append(_result_file(batch, column), b"".join(texts), len(texts))
    BatchLine.objects.filter(id__in=[line.id for line in lines]).delete()
    if lines:
        return False
    _finish(batch)
    notify_end(batch)
    return True


def _next_results(batch: Batch) -> list[BatchLine]:
    found, size = [], 0
    for line in BatchLine.objects.filter(batch=batch).order_by("number")[:WRITE_BATCH].iterator(chunk_size=20):
        found.append(line)
        size += len(line.result or b"")
        if size >= files.CHUNK_BYTES:
            break
    return found


def _text(line: BatchLine) -> bytes:
    result = {"id": f"batch_req_{line.batch_id.hex}_{line.number}", "custom_id": line.custom_id}
    return pydantic_core.to_json({**result, **unpack(line.result or b"")}) + b"\n"


def _result_file(batch: Batch, column: str) -> StoredFile:
    """The file of results or of errors, created with its first line."""
    if known := getattr(batch, column):
        return StoredFile.objects.get(id=known)
    seconds = batch.output_seconds
    file = StoredFile.objects.create(
        organization_id=batch.organization_id,
        purpose=Purpose.BATCH_OUTPUT,
        name=f"{batch}_{column.removesuffix('_id')}.jsonl",
        is_complete=False,
        api_key_id=batch.api_key_id,
        user_ref=batch.user_ref,
        expires_at=timezone.now() + timedelta(seconds=seconds) if seconds else None,
    )
    setattr(batch, column, file.id)
    Batch.objects.filter(id=batch.id).update(**{column: file.id})
    return file


def _finish(batch: Batch) -> None:
    stopped = BatchStatus.EXPIRED if batch.expired_at else BatchStatus.COMPLETED
    status = BatchStatus.CANCELLED if batch.cancelling_at else stopped
    batch.status, batch.finished_at = status, timezone.now()
    Batch.objects.filter(id=batch.id).update(status=status, finished_at=batch.finished_at)
    StoredFile.objects.filter(id__in=[each for each in (batch.output_id, batch.error_id) if each]).update(
        is_complete=True
    )


def _row(batch: Batch, line: Line) -> BatchLine:
    return BatchLine(
        organization_id=batch.organization_id,
        batch=batch,
        number=line.number,
        custom_id=line.custom_id,
        body=pack(line.body),
    )


def _other_endpoint(line: Line, batch: Batch) -> dict[str, Any]:
    message = f"The url is {line.url[:64]!r}, but the batch is for {batch.endpoint}."
    return {"code": "mismatched_endpoint", "line": line.number, "message": message, "param": "url"}


@transaction.atomic
def _fail(batch: Batch, errors: Sequence[dict[str, Any]], notify_end: NotifyEnd) -> None:
    columns = {"status": BatchStatus.FAILED, "finished_at": timezone.now(), "errors": list(errors), "total": 0}
    if Batch.objects.filter(id=batch.id, status=BatchStatus.VALIDATING).update(**columns):
        BatchLine.objects.filter(batch=batch).delete()
        for name, value in columns.items():
            setattr(batch, name, value)
        notify_end(batch)
