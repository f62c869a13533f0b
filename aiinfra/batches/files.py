"""Store, read, and delete files. All functions work in an organization's scope."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models import Count, Q, QuerySet, Sum

from aiinfra.batches.jsonl import check_file
from aiinfra.batches.models import FileChunk, Purpose, StoredFile
from aiinfra.bodies import MIB
from aiinfra.keyset import side
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.keys import line_of

CHUNK_BYTES = 256 * 1024
"""A chunk ends with the line that reaches this size."""
COMPRESSION = 3
PLACE = ("created_at", "id")

Row = TypeVar("Row", bound=models.Model)


class FileLimitError(Exception):
    """The organization has reached its limit of files or of bytes in files."""


@dataclass(frozen=True)
class Owner:
    """Who uploads a file or creates a batch: an API key, or a person by login name."""

    organization_id: int
    api_key_id: int | None = None
    user_ref: str = ""


def visible(rows: "QuerySet[Row]", principal: Principal, user_ref: str) -> "QuerySet[Row]":
    """The files or batches that the caller may see: their own, and with `content:read` all of the organization's.

    A key's own include those of the keys that it replaced by rotation.
    """
    if principal.can("content:read"):
        return rows
    if principal.api_key_id is None:
        return rows.filter(api_key=None, user_ref=user_ref)
    return rows.filter(api_key__in=line_of(principal.api_key_id))


def row_id(text: str, prefix: str) -> UUID | None:
    """The row behind a client's ID; None if it is malformed."""
    digits = text.removeprefix(prefix)
    try:
        found = UUID(hex=digits)
    except ValueError:
        return None
    return found if text == f"{prefix}{found.hex}" else None


def complete() -> "QuerySet[StoredFile]":
    """The files in the scope that are complete."""
    return StoredFile.objects.filter(is_complete=True)


def page_of(
    rows: "QuerySet[Row]", after: Row | None, size: int, *, oldest_first: bool = False
) -> tuple[list[Row], bool]:
    """A page of rows by age, and whether more follow; `after` is the last row of the previous page. One query."""
    sign, lookup = ("", "gt") if oldest_first else ("-", "lt")
    ordered = rows.order_by(*(sign + column for column in PLACE))
    if after is not None:
        ordered = ordered.filter(side(PLACE, [getattr(after, column) for column in PLACE], lookup))
    found = list(ordered[: size + 1])
    return found[:size], len(found) > size


@transaction.atomic
def store_upload(owner: Owner, name: str, content: bytes, expires_at: datetime | None = None) -> StoredFile:
    """Store the file of a batch. Raises LineError, and FileLimitError."""
    lines = check_file(content, settings.BATCH_LINES_MAX)
    _check_room(len(content))
    file = StoredFile.objects.create(
        organization_id=owner.organization_id,
        purpose=Purpose.BATCH,
        name=name[:255],
        api_key_id=owner.api_key_id,
        user_ref=owner.user_ref,
        expires_at=expires_at,
    )
    for chunk in _split(content):
        append(file, chunk, 0)
    StoredFile.objects.filter(id=file.id).update(lines=lines)
    file.lines = lines
    return file


def append(file: StoredFile, content: bytes, lines: int) -> None:
    """Append whole lines in the caller's transaction."""
    FileChunk.objects.create(
        organization_id=file.organization_id,
        file=file,
        number=file.chunks,
        content=zlib.compress(content, COMPRESSION),
    )
    file.size, file.lines, file.chunks = file.size + len(content), file.lines + lines, file.chunks + 1
    StoredFile.objects.filter(id=file.id).update(size=file.size, lines=file.lines, chunks=file.chunks)


def chunk_of(file: StoredFile, number: int) -> bytes:
    """One chunk of a file; empty if it has been deleted."""
    chunk = FileChunk.objects.filter(file=file, number=number).first()
    return zlib.decompress(chunk.content) if chunk else b""


def content_of(file: StoredFile) -> Iterator[bytes]:
    """The content in chunks, one query each."""
    return (chunk_of(file, number) for number in range(file.chunks))


def delete(files: "Iterable[StoredFile]") -> int:
    """Delete files with their content; returns how many."""
    return sum(StoredFile.objects.filter(id=file.id).delete()[1].get("batches.StoredFile", 0) for file in files)


def _check_room(size: int) -> None:
    stored = StoredFile.objects.aggregate(uploads=Count("id", filter=Q(purpose=Purpose.BATCH)), bytes=Sum("size"))
    if stored["uploads"] >= settings.FILES_PER_ORGANIZATION:
        raise FileLimitError(f"Your organization has {stored['uploads']} files. Delete some of them first.")
    if (stored["bytes"] or 0) + size > settings.FILES_MIB_PER_ORGANIZATION * MIB:
        most = settings.FILES_MIB_PER_ORGANIZATION
        raise FileLimitError(f"The files of your organization would have more than {most} MiB. Delete some first.")


def _split(content: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(content):
        newline = content.find(b"\n", begin + CHUNK_BYTES)
        end = len(content) if newline < 0 else newline + 1
        yield content[begin:end]
        begin = end
