"""`/v1/files`: OpenAI's files, for the calls of batches and their results."""

import hashlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Min, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from pydantic import BaseModel, Field

from aiinfra.api import ApiCall, ApiModel, Operation
from aiinfra.batches import files
from aiinfra.batches.files import FileLimitError, Owner
from aiinfra.batches.jsonl import LineError
from aiinfra.batches.models import StoredFile
from aiinfra.bodies import MIB
from aiinfra.failures import ApiError
from aiinfra.form_body import read_form
from aiinfra.gateway.v1.vendor_endpoint import OpenAIEndpoint
from aiinfra.json_body import read_json, read_query
from aiinfra.row_ids import is_row_id
from aiinfra.tenants import keys
from aiinfra.tenants.privacy.retention import retention_of
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.security_log.reading import note_reading

FORM_BYTES = 64 * 1024
"""Room for the upload's other form fields."""
PAGE_MAX = 1_000
SECONDS = "expires_after[seconds]"
COMPUTED = frozenset({"file_name", "content", "digest"})
"""Members of `Upload` that no field of the form sets."""


class SnakeModel(ApiModel):
    """A payload in OpenAI's names."""

    model_config = {"alias_generator": None, "extra": "forbid"}


class Upload(SnakeModel):
    """The form of an upload, read."""

    purpose: Literal["batch"]
    file_name: str
    content: Annotated[bytes, Field(exclude=True)]
    digest: str
    expires_anchor: Annotated[Literal["created_at"] | None, Field(alias="expires_after[anchor]")] = None
    expires_seconds: Annotated[int | None, Field(alias=SECONDS, ge=3_600, le=2_592_000)] = None


class FileQuery(SnakeModel):
    """Which files to list."""

    after: str = ""
    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    order: Literal["asc", "desc"] = "desc"
    purpose: str = ""


class FileReference(SnakeModel):
    """One file."""

    file_id: str


class FileObject(BaseModel):
    """A file, as OpenAI describes it; times in seconds since 1970."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    status_details: None = None


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    """A file is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class BodylessEndpoint(OpenAIEndpoint):
    """An endpoint whose requests need no body."""

    def read_body(self, request: HttpRequest) -> dict[str, Any]:
        """JSON, if there is a body."""
        return read_json(request) if request.META.get("CONTENT_LENGTH") not in {None, "", "0"} else read_query(request)


class FileUploadEndpoint(OpenAIEndpoint):
    """An endpoint that takes a form with a file."""

    body_bytes_max = settings.FILE_MIB_MAX * MIB + FORM_BYTES

    def read_body(self, request: HttpRequest) -> dict[str, Any]:
        """The fields of the form, as `Upload` has them. Raises ApiError 400, 413 or 415."""
        fields = read_form(request)
        if taken := COMPUTED & fields.keys():
            raise ApiError(400, "invalid_request", "A form can't set this field.", param=min(taken))
        uploaded = fields.pop("file", None)
        if not isinstance(uploaded, UploadedFile):
            raise ApiError(400, "invalid_request", "Send one file in the field `file`.", param="file")
        content = uploaded.read().removeprefix(BOM_UTF8)
        if len(content) > settings.FILE_MIB_MAX * MIB:
            raise ApiError(413, "too_large", f"The file is larger than {settings.FILE_MIB_MAX} MiB.", param="file")
        seconds = str(fields.get(SECONDS, ""))
        numbers = {SECONDS: int(seconds)} if is_row_id(seconds) else {}
        digest = hashlib.sha256(content).hexdigest()
        return {**fields, **numbers, "file_name": uploaded.name or "file", "content": content, "digest": digest}


def owner_of(call: ApiCall) -> Owner:
    """Whose file or batch it will be."""
    principal = call.principal
    return Owner(principal.organization_id, principal.api_key_id, user_of(call))


def first_owner(call: ApiCall) -> tuple[object, ...]:
    """Whose retry gets the same response: the same person or API key, before or after a rotation."""
    key_id = call.principal.api_key_id
    return (user_of(call) if key_id is None else keys.line_of(key_id).aggregate(Min("id")),)


def user_of(call: ApiCall) -> str:
    """The login name of a person; empty for an API key."""
    return call.http.user.get_username() if call.principal.user_id else ""


def visible_files(call: ApiCall) -> "QuerySet[StoredFile]":
    """The files that the caller may see."""
    return files.visible(files.complete(), call.principal, user_of(call))


def find_file(call: ApiCall, file_id: str, param: str | None = None) -> StoredFile:
    """One of them. Raises ApiError 404."""
    known = files.row_id(file_id, StoredFile.PREFIX)
    found = visible_files(call).filter(id=known).first() if known else None
    if found is None:
        raise ApiError(404, "not_found", f"No such File object: {file_id}", param=param)
    return found


def create_file(call: ApiCall, payload: Upload) -> FileObject:
    """Store the file of a batch."""
    seconds = payload.expires_seconds
    if (seconds is None) != (payload.expires_anchor is None):
        message = "Send both expires_after[anchor] and expires_after[seconds]."
        raise ApiError(400, "invalid_request", message, param="expires_after")
    expires_at = timezone.now() + timedelta(seconds=seconds) if seconds else None
    try:
        stored = files.store_upload(owner_of(call), payload.file_name, payload.content, expires_at)
    except LineError as error:
        raise ApiError(400, "invalid_file", str(error), param="file") from None
    except FileLimitError as error:
        raise ApiError(400, "file_limit_exceeded", str(error), param="file") from None
    return _shown(call)(stored)


def list_files(call: ApiCall, query: FileQuery) -> FileList:
    """A page of files, newest first."""
    rows = visible_files(call).filter(**({"purpose": query.purpose} if query.purpose else {}))
    after = find_file(call, query.after, "after") if query.after else None
    page, more = files.page_of(rows, after, min(query.limit, PAGE_MAX), oldest_first=query.order == "asc")
    data = list(map(_shown(call), page))
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return FileList(data=data, first_id=ends[0], last_id=ends[1], has_more=more)


def get_file(call: ApiCall, query: FileReference) -> FileObject:
    """One file."""
    return _shown(call)(find_file(call, query.file_id))


def delete_file(call: ApiCall, query: FileReference) -> FileDeleted:
    """Delete a file. A batch that was made from it goes on."""
    files.delete([find_file(call, query.file_id)])
    return FileDeleted(id=query.file_id)


def get_content(call: ApiCall, query: FileReference) -> StreamingHttpResponse:
    """The content of a file, chunk by chunk."""
    file = find_file(call, query.file_id)
    if file.api_key_id is None or file.api_key_id != call.principal.api_key_id:
        note_reading(call.principal, f"file {file}")
    return content_response(file)


def content_response(file: StoredFile) -> StreamingHttpResponse:
    """A download, in the memory of one chunk."""
    response = StreamingHttpResponse(_chunks(file), content_type="application/jsonl")
    response["Content-Disposition"] = f'attachment; filename="{file}.jsonl"'
    response["Content-Length"] = str(file.size)
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _chunks(file: StoredFile) -> Iterator[bytes]:
    for number in range(file.chunks):
        with organization_scope(file.organization_id):
            chunk = files.chunk_of(file, number)
        yield chunk


def _shown(call: ApiCall) -> Callable[[StoredFile], FileObject]:
    days = retention_of(call.principal.organization_id).content_days

    def show(file: StoredFile) -> FileObject:
        return FileObject(
            id=str(file),
            bytes=file.size,
            created_at=int(file.created_at.timestamp()),
            expires_at=int(file.ends_at(days).timestamp()),
            filename=file.name,
            purpose=file.purpose,
        )

    return show


files_endpoint = FileUploadEndpoint(
    {
        ("GET", None): Operation(list_files, "chat:write", FileQuery, FileList, "List files (OpenAI)"),
        ("POST", None): Operation(
            create_file, "chat:write", Upload, FileObject, "Upload a file (OpenAI)", once_with=first_owner
        ),
    }
)
file_endpoint = BodylessEndpoint(
    {
        ("GET", None): Operation(get_file, "chat:write", FileReference, FileObject, "Get a file (OpenAI)"),
        ("DELETE", None): Operation(delete_file, "chat:write", FileReference, FileDeleted, "Delete a file (OpenAI)"),
    }
)
file_content_endpoint = OpenAIEndpoint(
    {("GET", None): Operation(get_content, "chat:write", FileReference, FileObject, "Get a file's content (OpenAI)")}
)
