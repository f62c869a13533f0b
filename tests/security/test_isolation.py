"""Two thousand attempts to access another organization's rows through the API.

Each response must be the same as for a nonexistent ID, contain nothing of the other organization, and change nothing.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.notifications.channels import add_channel
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.notifications.outbox import send_request_webhook
from aiinfra.providers.aliases import set_alias
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import ApiKey, Organization, OwnedModel, TenantModel
from aiinfra.tenants.scope import organization_scope
from queue_app.facade import ENDED
from queue_app.models import AIRequest, Status
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.api.authorization_operations import API_CELLS, NAMED_BY, ApiCell
from tests.api.authorization_rows import ids_of  # noqa: F401 - fixture
from tests.api.conftest import _queue  # noqa: F401 - fixture
from tests.api.support import (
    BATCHES,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    EVENTS,
    FILES,
    MESSAGES_DOOR,
    MODELS,
    QUEUE,
    RESPONSES,
    Caller,
    new_key,
    tenant_tables,
)
from tests.gateway.v1.files import jsonl, line, uploaded

CANARY = "canary-71423"
WEBHOOK = Notification(type="request.completed", severity="", title=CANARY, text=CANARY)
ATTEMPTS = 2_000
REQUESTS = 90
NAMES = [
    "alias",
    "budget",
    "increase",
    "erasure",
    "key",
    "invitation",
    "membership",
    "open_advice",
    "applied_advice",
    "invoice",
    "alert",
    "channel",
    "delivery",
    "pending",
    "failed",
    "entry",
    "hit",
    "threshold",
]
"""The rows that `ids_of` creates in an organization and an ID names."""
ALIAS = "canary-alias"
SHORT = 11
"""Values up to this length can occur in a response by coincidence."""
VARIABLE = re.compile(r'"(requestId|request_id)":"[^"]*"|[0-9T:.-]{20,}Z?')
"""Parts of a response that differ between two equal calls."""

STATUSES = [Status.PENDING, *sorted(ENDED)]

Attempt = tuple[str, Callable[[str], HttpResponse], str, str]
"""Name, call with a value, foreign value, and a nonexistent value of the same format."""


@pytest.fixture
def caller(organization: Organization, settings: Settings) -> Caller:
    """An owner's API key of an organization without data, without a rate limit."""
    settings.API_REQUESTS_PER_MINUTE = 10**6
    return Caller(key=new_key(organization, Role.OWNER))


@pytest.fixture
def theirs(other_organization: Organization, ids_of: Callable[..., dict[str, str]]) -> list[str]:  # noqa: F811
    """IDs of the other organization's rows, including requests in every status."""
    made = ids_of(other_organization)
    messages = [{"role": "user", "content": CANARY}]
    with organization_scope(other_organization.pk):
        set_alias(organization_id=other_organization.pk, name=ALIAS, target="gpt-4", actor="command:test")
        requests = [
            accept(Submission(other_organization.pk, "openai", "gpt-4", messages, tags=[CANARY]))
            for _ in range(REQUESTS)
        ]
        for number, request in enumerate(requests):
            status = STATUSES[number % len(STATUSES)]
            ended_at = timezone.now() if status in ENDED else None
            AIRequest.objects.filter(pk=request.pk).update(status=status, completed_at=ended_at)
    return [*(made[name] for name in NAMES), *(str(request.id) for request in requests)]


@pytest.fixture
def their_files(other_organization: Organization) -> dict[str, str]:
    """A file and a batch of the other organization, which has webhooks, including one for a key."""
    fields = {"kind": "requests", "name": CANARY, "target": "", "min_severity": "low", "actor": "command:test"}
    add_channel(organization_id=other_organization.pk, **fields)
    limits = KeyLimits(access=KeyAccess(webhook=f"https://{CANARY}.example.com/"))
    key = {"name": CANARY, "role": Role.OWNER, "limits": limits, "actor": "command:test"}
    made_key, text = create_key(organization=other_organization, **key)
    program = Caller(key=text)
    file = uploaded(program, jsonl(line("a", CANARY)))["id"]
    made = program.post(
        BATCHES, {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    )
    url = f"https://{CANARY}.example.com/"
    with organization_scope(other_organization.pk):
        ApiKey.objects.filter(pk=made_key.pk).update(webhook_secret=CANARY)
        send_request_webhook(other_organization.pk, url, WEBHOOK, about=CANARY, api_key_id=made_key.pk)
    return {"file": file, "batch": json.loads(made.content)["id"]}


def missing(value: str) -> str:
    """A nonexistent value of the same format."""
    if re.fullmatch(r"[0-9a-f]{32}", value):
        return uuid4().hex
    if value.isdecimal():
        return "9" * len(value)
    return str(uuid4()) if "-" in value else value[:-1] + ("A" if value[-1] == "B" else "B")


def by_name(caller: Caller, theirs: list[str]) -> Iterator[Attempt]:
    """Every operation that names a row, with every ID."""
    for cell in (each for each in API_CELLS if each.names):
        call = partial(_send, caller, cell, NAMED_BY.get(cell.names, "requestId"))
        yield from ((str(cell), call, value, missing(value)) for value in theirs)


def by_event_topic(caller: Caller, theirs: list[str]) -> Iterator[Attempt]:
    """The event streams of requests."""
    for value in theirs:
        yield "events", lambda named: caller.get(EVENTS, requestId=named), value, missing(value)


def by_organization(caller: Caller, slug: str) -> Iterator[Attempt]:
    """Every operation with the other organization's slug."""
    for cell in API_CELLS:
        yield f"{cell} in", partial(_send, caller, cell, "organizationId"), slug, "no-such-organization"


def _send(caller: Caller, cell: ApiCell, name: str, value: str) -> HttpResponse:
    fields = {**({"action": cell.action} if cell.action else {}), **dict(cell.also), name: value}
    return caller.get(cell.address, **fields) if cell.method == "GET" else caller.post(cell.address, fields)


def by_alias(caller: Caller) -> Iterator[Attempt]:
    """The alias as a model, with and without streaming, and as a dry run."""
    turns = {"messages": [{"role": "user", "content": "x"}]}
    bodies: dict[str, dict[str, Any]] = {
        COMPLETIONS: turns,
        MESSAGES_DOOR: {**turns, "max_tokens": 5},
        COUNT_TOKENS: turns,
        RESPONSES: {"input": "x"},
        EMBEDDINGS: {"input": "x"},
    }
    for path, body in bodies.items():
        for more, headers in (({}, {}), ({"stream": True}, {}), ({}, {"x-aiinfra-dry-run": "true"})):
            call = partial(_ask, caller, path, {**body, **more}, headers)
            yield f"{path} {more} {headers}", call, ALIAS, "missing-name"
    yield MODELS, lambda named: caller.get(f"{MODELS}/{named}"), ALIAS, "missing-name"


def by_file_and_batch(caller: Caller, theirs: dict[str, str]) -> Iterator[Attempt]:
    """Every operation that names a file or batch."""
    terms = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    quote = {"x-aiinfra-dry-run": "true"}
    calls: list[tuple[str, str, Callable[[str], HttpResponse]]] = [
        ("file", "get", lambda named: caller.get(f"{FILES}/{named}")),
        ("file", "content", lambda named: caller.get(f"{FILES}/{named}/content")),
        ("file", "delete", lambda named: caller.method("DELETE", f"{FILES}/{named}")),
        ("file", "after", lambda named: caller.get(FILES, after=named)),
        ("file", "batch of", lambda named: caller.post(BATCHES, {**terms, "input_file_id": named})),
        ("file", "quote of", lambda named: caller.post(BATCHES, {**terms, "input_file_id": named}, **quote)),
        ("batch", "get", lambda named: caller.get(f"{BATCHES}/{named}")),
        ("batch", "cancel", lambda named: caller.post(f"{BATCHES}/{named}/cancel", b"")),
        ("batch", "after", lambda named: caller.get(BATCHES, after=named)),
    ]
    for kind, name, call in calls:
        for form, each in enumerate((theirs[kind], theirs[kind].upper(), theirs[kind][-32:])):
            yield f"{kind} {name} {form}", call, each, f"{each[:-32]}{uuid4().hex}"


def _ask(caller: Caller, path: str, body: dict[str, Any], headers: dict[str, str], model: str) -> HttpResponse:
    return caller.post(path, {**body, "model": model}, **headers)


def seen(response: HttpResponse, value: str) -> tuple[int, str]:
    """What a client can distinguish, without the value that it sent."""
    own = re.escape(value) if len(value) > SHORT else rf"[\"`']{re.escape(value)}[\"`']"
    if response.streaming:  # it may never end
        response.close()
        return response.status_code, "a stream"
    text = response.content.decode()
    return response.status_code, VARIABLE.sub("", re.sub(own, "…", text))


def all_rows(organization: Organization) -> dict[str, list[dict[str, Any]]]:
    """All rows of the organization."""
    with organization_scope(organization.pk):
        return {model.__name__: _rows(model) for model in (*tenant_tables(), Channel, Delivery)}


def _rows(model: Any) -> list[dict[str, Any]]:
    assert issubclass(model, TenantModel | OwnedModel)
    return list(model.objects.order_by("pk").values())  # type: ignore[attr-defined]


def test_rows_of_another_organization_are_indistinguishable_from_nonexistent_ones(
    caller: Caller, theirs: list[str], their_files: dict[str, str], other_organization: Organization
) -> None:
    before = all_rows(other_organization)
    attempts = [
        *by_name(caller, theirs),
        *by_event_topic(caller, theirs),
        *by_organization(caller, other_organization.slug),
        *by_alias(caller),
        *by_file_and_batch(caller, their_files),
    ]
    assert len(attempts) >= ATTEMPTS
    known = [each for each in (CANARY, *theirs, *their_files.values()) if not each.isdecimal()]
    expected: dict[tuple[str, str], tuple[int, str]] = {}
    leaks = []
    for name, call, value, nothing in attempts:
        form = name, re.sub("[0-9a-f]", "0", nothing)
        if form not in expected:
            expected[form] = seen(call(nothing), nothing)
        found = seen(call(value), value)
        secrets = [secret for secret in known if secret in found[1]]
        if found != expected[form] or secrets:
            leaks.append((name, value, found, expected[form], secrets))
    assert leaks == []
    assert all_rows(other_organization) == before


def cursors_of(caller: Caller) -> list[str]:
    """All cursors of the list of requests."""
    cursors: list[str] = []
    while True:
        page = json.loads(caller.get(QUEUE, action="list", **({"cursor": cursors[-1]} if cursors else {})).content)
        if page["nextCursor"] is None:
            return cursors
        cursors.append(page["nextCursor"])


def test_list_cursor_of_another_organization_shows_only_own_requests(
    caller: Caller, theirs: list[str], organization: Organization, other_organization: Organization
) -> None:
    cursors = cursors_of(Caller(key=new_key(other_organization, Role.OWNER)))
    assert cursors
    with organization_scope(organization.pk):
        accept(Submission(organization.pk, "openai", "gpt-4", [{"role": "user", "content": "ours"}]))
    for each in cursors:
        page = caller.get(QUEUE, action="list", cursor=each).content.decode()
        assert not any(value in page for value in (CANARY, *theirs) if not value.isdecimal())
