"""`/v1/batches`: quotes, terms, limits, lists, ownership, and retention."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.batches.erasure import erase_batches
from aiinfra.batches.models import Batch, BatchLine
from aiinfra.batches.retention import delete_expired
from aiinfra.tenants import key_authentication, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Budget
from tests.api.support import BATCHES, FILES, Caller, new_key, refused, rows
from tests.gateway.batches.support import (
    create,
    finish,
    get,
    lines,
    step,
)
from tests.gateway.v1.files import jsonl, line, upload, uploaded
from tests.queue_app.conftest import ScriptedProvider


def test_quote_is_the_sum_of_the_lines_and_writes_nothing(program: Caller, organization: Organization) -> None:
    with organization_scope(organization.pk):
        Budget.objects.create(organization=organization, period="monthly", limit_nano=10**9, enforcement="block")
    wrong = [line("x", body={"model": "no-such-model", "messages": []}), line("y", url="/v1/responses")]
    file = uploaded(program, jsonl(*lines(3), *wrong))
    body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    before = rows()
    response = program.post(BATCHES, body, **{"x-aiinfra-dry-run": "true"})
    quote = json.loads(response.content)
    assert (response.status_code, response["x-aiinfra-dry-run"], rows()) == (200, "true", before)
    assert (quote["requests"], quote["requests_quoted"], quote["requests_refused"]) == (5, 5, 2)
    low, expected, most = (Decimal(quote["cost"][name]) for name in ("low", "expected", "most"))
    assert 0 < low <= expected <= most
    single = line()["body"] | {"messages": [{"role": "user", "content": "What is 0?"}]}
    one = json.loads(program.post("/v1/chat/completions", single, **{"x-aiinfra-dry-run": "true"}).content)
    assert most == 3 * Decimal(one["cost"]["most"])
    assert (quote["budget_remaining"], quote["fits_budget"]) == ("1.00", most <= 1)


def test_long_file_is_quoted_from_a_sample(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiinfra.gateway.batches.creating.QUOTED_MAX", 3)
    file = uploaded(program, jsonl(*(line(f"c{each}") for each in range(8))))
    body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    quote = json.loads(program.post(BATCHES, body, **{"x-aiinfra-dry-run": "true"}).content)
    one = json.loads(program.post("/v1/chat/completions", line()["body"], **{"x-aiinfra-dry-run": "true"}).content)
    assert (quote["requests"], quote["requests_quoted"]) == (8, 3)
    assert Decimal(quote["cost"]["most"]) == 8 * Decimal(one["cost"]["most"])


INVALID_TERMS: list[tuple[dict[str, Any], dict[str, str], int, str]] = [
    ({"endpoint": "/v1/moderations"}, {}, 400, "endpoint"),
    ({"completion_window": "soon"}, {}, 400, "completion_window"),
    ({"completion_window": "169h"}, {}, 400, "completion_window"),
    ({"input_file_id": "file-none"}, {}, 404, "input_file_id"),
    ({"metadata": {"a": 5}}, {}, 400, "metadata.a"),
    ({"metadata": {"a": "x" * 513}}, {}, 400, "metadata.a"),
    ({"x": 1}, {}, 400, "x"),
    ({}, {"x-aiinfra-run-when": "later"}, 400, "x-aiinfra-run-when"),
    ({}, {"x-aiinfra-timeout": "0"}, 400, "x-aiinfra-timeout"),
    ({}, {"x-aiinfra-cache": "maybe"}, 400, "cache"),
    ({}, {"x-aiinfra-dry-run": "true", "Idempotency-Key": "k"}, 400, "Idempotency-Key"),
]


@pytest.mark.parametrize(("changes", "headers", "status", "param"), INVALID_TERMS)
def test_invalid_terms_are_refused_by_name(
    program: Caller, changes: dict[str, Any], headers: dict[str, str], status: int, param: str
) -> None:
    file = uploaded(program, jsonl(line()))
    body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h", **changes}
    refused(program.post(BATCHES, body, **headers), status, param)
    with system_scope():
        assert not Batch.objects.exists()


def test_number_of_unfinished_batches_is_limited(program: Caller, settings: Settings) -> None:
    settings.BATCHES_PER_ORGANIZATION = 1
    create(program, lines(1))
    file = uploaded(program, jsonl(line()))
    body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    refused(program.post(BATCHES, body), 400)


def test_deleting_the_file_fails_only_batches_that_have_not_read_it(
    program: Caller, provider: ScriptedProvider
) -> None:
    read, unread = create(program, lines(2)), create(program, lines(2))
    program.method("DELETE", f"{FILES}/{unread['input_file_id']}")
    step()
    program.method("DELETE", f"{FILES}/{read['input_file_id']}")
    assert finish(program, read["id"])["status"] == "completed"
    gone = get(program, unread["id"])
    assert (gone["status"], gone["errors"]["data"][0]["code"]) == ("failed", "file_not_found")


def test_batches_belong_to_their_key_and_organization(
    organization: Organization, other_organization: Organization, provider: ScriptedProvider
) -> None:
    own, sibling = (Caller(key=new_key(organization, Role.OPERATOR, ["chat:write"])) for _ in range(2))
    reader = Caller(key=new_key(organization, Role.OPERATOR, ["chat:write", "content:read"]))
    foreign = Caller(key=new_key(other_organization, Role.OWNER))
    made = create(own, lines(1))
    done = finish(own, made["id"])
    body = {"input_file_id": made["input_file_id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    for caller in (sibling, foreign):
        refused(caller.get(f"{BATCHES}/{made['id']}"), 404)
        refused(caller.post(f"{BATCHES}/{made['id']}/cancel", {}), 404)
        refused(caller.get(BATCHES, after=made["id"]), 404, "after")
        refused(caller.post(BATCHES, body), 404, "input_file_id")
        refused(caller.get(f"{FILES}/{done['output_file_id']}/content"), 404)
        assert json.loads(caller.get(BATCHES).content)["data"] == []
    assert get(reader, made["id"]) == done


KEY, FILE_KEY, CANCEL_KEY = ({"Idempotency-Key": name} for name in ("nightly", "upload", "cancel"))


def rotated(organization: Organization, caller: Caller) -> Caller:
    with organization_scope(organization.pk):
        principal = key_authentication.authenticate(caller.headers["Authorization"])
        assert principal
        old = ApiKey.objects.get(id=principal.api_key_id)
        return Caller(key=keys.rotate_key(key=old, overlap=keys.ROTATION_OVERLAP_MAX, actor="command:test")[1])


def creation(caller: Caller) -> dict[str, Any]:
    file = uploaded(caller, jsonl(line()))
    return {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.mark.parametrize(
    "header",
    [
        {"x-aiinfra-tags": "b"},
        {"x-litellm-timeout": "5"},
        {"x-aiinfra-cache": "bypass"},
        {"x-aiinfra-run-when": "cheap"},
        {"x-aiinfra-dry-run": "true"},
    ],
    ids=str,
)
def test_reusing_key_with_different_headers_returns_409(program: Caller, header: dict[str, str]) -> None:
    body = creation(program)
    first, second = (program.post(BATCHES, body, **KEY) for _ in range(2))
    assert (first.content, second["Idempotent-Replayed"]) == (second.content, "true")
    refused(program.post(BATCHES, body, **KEY, **header), 409, "Idempotency-Key")
    assert rows()["Batch"] == 1


def test_only_the_api_key_and_its_replacement_can_repeat_a_creation(organization: Organization) -> None:
    scopes = ["chat:write"]
    own, sibling = (Caller(key=new_key(organization, Role.OPERATOR, scopes)) for _ in range(2))
    body = creation(own)
    upload(own, jsonl(line()), **FILE_KEY)
    first = own.post(BATCHES, body, **KEY)
    cancelling = f"{BATCHES}/{json.loads(first.content)['id']}/cancel"
    own.post(cancelling, {}, **CANCEL_KEY)
    for caller, status in ((sibling, 409), (rotated(organization, own), 200)):
        again = caller.post(BATCHES, body, **KEY)
        assert (again.status_code, again.content == first.content) == (status, status == 200)
        assert upload(caller, jsonl(line()), **FILE_KEY).status_code == status
        assert caller.post(cancelling, {}, **CANCEL_KEY).status_code == status


def test_list_is_paginated(program: Caller) -> None:
    ids = [create(program, lines(1))["id"] for _ in range(5)]
    first = json.loads(program.get(BATCHES, limit=3).content)
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:1:-1], True)
    rest = json.loads(program.get(BATCHES, after=first["last_id"]).content)
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[1::-1], False)


def test_erasure_cancels_batches_and_deletes_their_content(
    program: Caller, organization: Organization, provider: ScriptedProvider
) -> None:
    finish(program, create(program, lines(2), metadata={"note": "secret"})["id"])
    pending = create(program, lines(3), metadata={"note": "secret"})
    with organization_scope(organization.pk):
        counts: list[tuple[str, int]] = []
        erase_batches(timezone.now(), "", "erased-1", lambda store, number: counts.append((store, number)))
        assert sum(number for store, number in counts if store == "batches") == 2
        assert not BatchLine.objects.exists()
        assert {(batch.user_ref, str(batch.metadata)) for batch in Batch.objects.all()} == {("erased-1", "{}")}
    calls = len(provider.calls)
    step()
    assert (get(program, pending["id"])["status"], len(provider.calls)) == ("cancelled", calls)


def test_finished_batches_are_kept_as_long_as_requests(
    program: Caller, organization: Organization, provider: ScriptedProvider
) -> None:
    finish(program, create(program, lines(1))["id"])
    create(program, lines(1))
    with system_scope():
        Batch.objects.filter(finished_at=None).update(created_at=timezone.now() - timedelta(days=31))
        Batch.objects.exclude(finished_at=None).update(finished_at=timezone.now() - timedelta(days=29))
        delete_expired()
        assert Batch.objects.count() == 2
        Batch.objects.exclude(finished_at=None).update(finished_at=timezone.now() - timedelta(days=31))
        delete_expired()
        assert Batch.objects.exclude(finished_at=None).count() == 0
