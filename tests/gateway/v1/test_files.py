"""`/v1/files`: storage, validation, access, and retention."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.batches import files as stored_files
from aiinfra.batches.erasure import erase_files
from aiinfra.batches.models import FileChunk, StoredFile
from aiinfra.batches.retention import delete_expired
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.privacy import holds
from aiinfra.tenants.privacy.retention import change_retention
from aiinfra.tenants.scope import organization_scope, system_scope
from tests.api.support import FILES, Caller, new_key, refused
from tests.gateway.v1.files import jsonl, line, upload, uploaded


def content_of(caller: Caller, file_id: str) -> bytes:
    response = caller.get(f"{FILES}/{file_id}/content")
    assert response.status_code == 200, response.getvalue()
    return response.getvalue()


def stored() -> tuple[int, int]:
    with system_scope():
        return StoredFile.objects.count(), FileChunk.objects.count()


def test_file_is_returned_unchanged(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_files, "CHUNK_BYTES", 100)
    content = jsonl(*(line(f"c{number}") for number in range(10)))[:-1]
    made = uploaded(program, content)
    assert (made["object"], made["purpose"], made["filename"]) == ("file", "batch", "calls.jsonl")
    assert (made["bytes"], made["status"]) == (len(content), "processed")
    assert json.loads(program.get(f"{FILES}/{made['id']}").content) == made
    assert content_of(program, made["id"]) == content
    assert stored() == (1, 10)
    gone = program.method("DELETE", f"{FILES}/{made['id']}")
    assert json.loads(gone.content) == {"id": made["id"], "object": "file", "deleted": True}
    assert stored() == (0, 0)
    refused(program.get(f"{FILES}/{made['id']}"), 404)


def test_invisible_characters_are_removed_from_file_names(program: Caller) -> None:
    named = SimpleUploadedFile("calls\u202elnosj", jsonl(line()))
    response = program.client.post(FILES, {"purpose": "batch", "file": named}, headers=program.headers)
    assert json.loads(response.content)["filename"] == "callslnosj"


def test_byte_order_mark_is_removed(program: Caller) -> None:
    made = uploaded(program, b"\xef\xbb\xbf" + jsonl(line()))
    assert content_of(program, made["id"]) == jsonl(line())


INVALID_FILES: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "The file has no requests."),
    "blank lines": (b"\n \n", "The file has no requests."),
    "invalid JSON": (
        jsonl(line()) + b"{oops\n",
        "Line 2: The line is not valid JSON: key must be a string at column 2",
    ),
    "a list": (b"[]", "Line 1: The line must be a JSON object."),
    "invalid UTF-8": (b'{"custom_id": "\xff"}', "Line 1: The line is not valid JSON"),
    "NUL": (jsonl(line("a\0b")), "Line 1: custom_id: Text must not contain NUL characters."),
    "two models": (
        jsonl(line(), line("b")).replace(b'"model"', b'"model": "gpt-4", "model"', 2),
        "Line 1: body.model: This member appears more than once.",
    ),
    "no id": (jsonl({**line(), "custom_id": ""}), "Line 1: custom_id: This must be a non-empty string."),
    "a number as id": (jsonl(line("a"), {**line(), "custom_id": 5}), "Line 2: custom_id: This must be a non-empty"),
    "a long id": (jsonl(line("x" * 256)), "Line 1: custom_id: A custom_id can have at most 255 characters."),
    "a duplicate id": (
        jsonl(line("a"), line("b"), line("a")),
        "Line 3: custom_id: The custom_id 'a' is used by an earlier",
    ),
    "GET": (jsonl(line(method="GET")), "Line 1: method: This must be POST."),
    "no URL": (jsonl(line(url=None)), "Line 1: url: This must be a non-empty string."),
    "no body": (jsonl(line(body="x")), "Line 1: body: This must be an object."),
    "a stream": (jsonl(line(body={"stream": True})), "Line 1: body.stream: Requests of a batch can't be streamed."),
    "an extra member": (jsonl(line(x=1)), "Line 1: x: Unknown field."),
    "blank lines before": (b"\n\n" + jsonl(line(x=1)), "Line 3: x"),
    "a large line": (jsonl(line(text="x" * 1_100_000)), "Line 1: The line is larger than 1048576 bytes."),
    "too many lines": (
        jsonl(*(line(str(number)) for number in range(4))),
        "Line 4: A file can have at most 3 requests.",
    ),
}


@pytest.mark.parametrize("name", INVALID_FILES)
def test_first_invalid_line_is_reported(program: Caller, settings: Settings, name: str) -> None:
    settings.BATCH_LINES_MAX = 3
    content, message = INVALID_FILES[name]
    error = refused(upload(program, content), 400, "file")
    assert error["message"].startswith(message)
    assert stored() == (0, 0)


def test_invalid_form_is_refused(program: Caller, settings: Settings) -> None:
    refused(upload(program, jsonl(line()), purpose="fine-tune"), 400, "purpose")
    form = {"purpose": "batch"}
    refused(program.client.post(FILES, form, headers=program.headers), 400, "file")
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        error = refused(program.post(FILES, b"{}", content_type=content_type), 415)
        assert (error["type"], "multipart/form-data" in error["message"]) == ("invalid_request_error", True)
    two = {"purpose": "batch", "file": [SimpleUploadedFile(name, jsonl(line())) for name in ("a", "b")]}
    refused(program.client.post(FILES, two, headers=program.headers), 400, "file")
    refused(program.post(FILES, b"--x", content_type="multipart/form-data"), 400)
    refused(upload(program, jsonl(line()), **{"expires_after[seconds]": "3600"}), 400, "expires_after")
    wrong = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "5"}
    refused(upload(program, jsonl(line()), **wrong), 400, "expires_after[seconds]")
    settings.FILE_MIB_MAX = 1
    refused(upload(program, jsonl(line(), line("b", "x" * 600_000), line("c", "x" * 600_000))), 413, "file")
    assert stored() == (0, 0)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"purpose": ["fine-tune", "batch"]}, "purpose"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": ["3600", "7200"]}, "expires_after[seconds]"),
        ({"purpose": ["batch", SimpleUploadedFile("x", b"batch")]}, "purpose"),
        ({"purpose": SimpleUploadedFile("x", b"batch")}, "purpose"),
        ({"file": [SimpleUploadedFile(name, jsonl(line())) for name in ("a", "b")]}, "file"),
        ({"file": [SimpleUploadedFile("a", jsonl(line())), "text"]}, "file"),
        ({"file": "text"}, "file"),
        ({"file2": SimpleUploadedFile("b", jsonl(line()))}, "file2"),
        ({"file_name": "calls"}, "file_name"),
        ({"content": "x"}, "content"),
        ({"digest": "x"}, "digest"),
        ({"other": "x"}, "other"),
    ],
)
def test_repeated_or_unknown_field_is_refused_by_name(program: Caller, fields: dict[str, Any], named: str) -> None:
    form = {"purpose": "batch", "file": SimpleUploadedFile("calls.jsonl", jsonl(line())), **fields}
    refused(program.client.post(FILES, form, headers=program.headers), 400, named)
    assert stored() == (0, 0)


def test_error_for_too_many_form_parts_names_no_setting(program: Caller) -> None:
    for kind in ("field", SimpleUploadedFile("x", b"x")):
        form = {f"x{number}": kind for number in range(1_001)}
        error = refused(program.client.post(FILES, form, headers=program.headers), 400)
        assert "too many" in error["message"]
        assert "settings" not in error["message"]


def test_files_per_organization_are_limited(program: Caller, settings: Settings) -> None:
    settings.FILES_PER_ORGANIZATION = 1
    uploaded(program, jsonl(line()))
    assert "has 1 files" in refused(upload(program, jsonl(line())), 400, "file")["message"]
    settings.FILES_PER_ORGANIZATION, settings.FILES_MIB_PER_ORGANIZATION = 10, 1
    large = jsonl(line("a", "x" * 600_000), line("b", "x" * 600_000))
    assert "more than 1 MiB" in refused(upload(program, large), 400, "file")["message"]


def test_list_is_paginated_in_both_directions(program: Caller) -> None:
    ids = [uploaded(program, jsonl(line()))["id"] for _ in range(5)]

    def listed(**query: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(program.get(FILES, **query).content)
        return found

    assert [each["id"] for each in listed()["data"]] == ids[::-1]
    first = listed(limit=2, order="asc")
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:2], True)
    last = listed(limit=3, order="asc", after=first["last_id"])
    assert ([each["id"] for each in last["data"]], last["has_more"]) == (ids[2:], False)
    assert listed(purpose="batch_output")["data"] == []
    refused(program.get(FILES, after="file-none"), 404, "after")
    refused(program.get(FILES, limit=0), 400, "limit")


def test_files_belong_to_their_key(
    organization: Organization, other_organization: Organization, key_of: Callable[..., Caller]
) -> None:
    writer = partial(new_key, role=Role.OPERATOR)
    own = Caller(key=writer(organization, scopes=["chat:write"]))
    sibling = Caller(key=writer(organization, scopes=["chat:write"]))
    reader = Caller(key=writer(organization, scopes=["chat:write", "content:read"]))
    foreign = Caller(key=writer(other_organization, scopes=["chat:write", "content:read"]))
    made = uploaded(own, jsonl(line()))
    for caller, status in ((own, 200), (reader, 200), (sibling, 404), (foreign, 404)):
        for address in (f"{FILES}/{made['id']}", f"{FILES}/{made['id']}/content"):
            assert caller.get(address).status_code == status
        assert len(json.loads(caller.get(FILES).content)["data"]) == (status == 200)
    for caller in (sibling, foreign):
        refused(caller.method("DELETE", f"{FILES}/{made['id']}"), 404)
        refused(caller.get(FILES, after=made["id"]), 404, "after")
    assert stored() == (1, 1)


@pytest.mark.parametrize("name", ["file-", "file-x", "x", "batch_" + "0" * 32, "FILE-" + "0" * 32, "file-" + "A" * 32])
def test_malformed_id_returns_404(program: Caller, name: str) -> None:
    refused(program.get(f"{FILES}/{name}"), 404)


def test_idempotency_key_stores_a_file_once(program: Caller) -> None:
    key = {"Idempotency-Key": "k1"}
    first = upload(program, jsonl(line()), **key)
    again = upload(program, jsonl(line()), **key)
    assert json.loads(first.content) == json.loads(again.content)
    refused(upload(program, jsonl(line("other")), **key), 409)
    assert stored() == (1, 1)


def test_file_is_kept_as_long_as_other_content(program: Caller, organization: Organization) -> None:
    change_retention(organization_id=organization.pk, request_days=3, content_days=2, actor="command:test")
    made = uploaded(program, jsonl(line()))
    assert made["expires_at"] - made["created_at"] == 2 * 86_400
    early = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    soon = json.loads(upload(program, jsonl(line()), **early).content)
    assert soon["expires_at"] - soon["created_at"] == 3_600
    assert delete_expired() == 0
    with system_scope():
        StoredFile.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert delete_expired() == 1
    with system_scope():
        StoredFile.objects.update(created_at=timezone.now() - timedelta(days=2, seconds=1))
    hold = holds.place(organization_id=organization.pk, reason="audit", actor="command:test")
    assert delete_expired() == 0
    holds.release(hold=hold, actor="command:test")
    assert delete_expired() == 1
    assert stored() == (0, 0)


def test_erasure_deletes_files_of_one_user_or_of_all(
    program: Caller, organization: Organization, operator: User, client_of: Callable[[User], Any]
) -> None:
    uploaded(program, jsonl(line()))
    uploaded(Caller(client_of(operator)), jsonl(line()))
    counts: dict[str, int] = {}
    with organization_scope(organization.pk):
        erase_files(timezone.now(), operator.get_username(), counts.__setitem__)
        assert (StoredFile.objects.get().user_ref, counts) == ("", {"files": 1})
        erase_files(timezone.now(), "", counts.__setitem__)
    assert stored() == (0, 0)
