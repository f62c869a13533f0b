"""Generated valid and invalid requests to every operation match the OpenAPI document.

All checks are enabled. Generated data is adjusted where JSON Schema cannot express a rule, with the reason.
"""

import json
import math
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args
from uuid import uuid4
from zlib import crc32

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, assume, settings
from schemathesis import BaseSchema, Case

from aiinfra import web_stopping
from aiinfra.gateway import chat, event_stream, waiting
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.live_events import EventType
from aiinfra.notifications.channels import add_channel
from aiinfra.openapi import document
from aiinfra.tenants.models import Organization
from aiinfra.wsgi import application
from cost_app.budgets.payloads import AMOUNT_END, EXACT_UP_TO
from cost_app.spend.payloads import DOLLARS_MAX, TierIn
from tests.api.support import CACHE, CHAT, COST, EVENTS, KEYS, QUEUE, Caller, enqueue_body
from tests.support.examples import IS_FULL, examples

EXAMPLES = examples(20, 200)
CONTENT_MAX = 200_000
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
CURSOR = urlsafe_b64encode(f"2026-01-01T00:00:00+00:00|{uuid4()}".encode()).decode()
CURSORS = {CACHE: "1700000000000", KEYS: urlsafe_b64encode(b"1").decode()}
"""Cursors of lists with their own order."""
VARIES_MESSAGES = re.compile("Object with valid 'messages' value|messages -> Array with invalid items")
"""How schemathesis describes a case that varies only the messages."""

# Generating an address's examples takes seconds. Only its test does so, not the collection.
schema_of_address = schemathesis.pytest.from_fixture("schema")


@pytest.fixture(params=document()["paths"])
def schema(request: pytest.FixtureRequest) -> BaseSchema:
    """The served document, reduced to one address."""
    request.node._nodeid = request.node.nodeid  # schemathesis reads what pytest 9.1 removed
    served = Client().get("/api/schema").json()
    address = request.param
    schema = schemathesis.openapi.from_dict({**served, "paths": {address: served["paths"][address]}})
    schema.app = application
    # A pattern for every string, including those in `metadata`, could exclude NUL; test_bad_bodies.py tests NUL.
    schema.config.generation.update(deterministic=True, allow_x00=False)
    return schema


@pytest.fixture
def request_id(admin_program: Caller) -> str:
    """A request that the generated cases can name."""
    return str(json.loads(admin_program.post(QUEUE, enqueue_body()).content)["requestId"])


@pytest.fixture
def budget_id(admin_program: Caller) -> str:
    """A budget that the generated cases can name."""
    made = admin_program.post(COST, {"action": "set-budget", "period": "daily", "limit": 1})
    return str(json.loads(made.content)["id"])


@pytest.fixture
def admin_headers(
    admin_program: Caller,
    organization: Organization,
    request_id: str,
    budget_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """Headers with an admin's key. Requests no longer close the test's connection, which keeps its transaction."""
    sign = {"kind": "requests", "name": "programs", "target": "", "min_severity": "low", "actor": "user:admin"}
    add_channel(organization_id=organization.pk, **sign)
    # No worker runs, so a waiting client would wait until its deadline.
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(0))
    monkeypatch.setattr(django_settings, "UNAUTHENTICATED_PER_MINUTE", 100_000)  # the cases include many invalid keys
    monkeypatch.setattr(web_stopping, "is_stopping", lambda: True)  # ends the event streams
    for module in (event_stream, waiting):
        monkeypatch.setattr(module, "release_connections", lambda: None)
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield admin_program.headers
    for signal in signals:
        signal.connect(close_old_connections)


def make_budget_possible(body: dict[str, Any], key_id: str) -> None:
    """Adjust what a schema cannot express about a budget: threshold order, caps, nine decimals, and existing names."""
    thresholds = [body.get("warningThreshold", 80), body.get("alertThreshold", 95)]
    is_set = body.get("action") == "set-budget"
    if is_set and all(type(each) in (int, float) and each == int(each) and 1 <= each <= 100 for each in thresholds):
        body.update(zip(("warningThreshold", "alertThreshold"), sorted(thresholds), strict=True))
    if body.get("rolloverCap") is not None and body.get("rolloverUnused", False) is False:
        body["rolloverUnused"] = True
    for name in ("limit", "rolloverCap", "amount"):
        if isinstance(body.get(name), float) and 0 <= body[name] < AMOUNT_END:
            amount = min(body[name], AMOUNT_END - 1.0)
            body[name] = round(amount, 9 if amount <= EXACT_UP_TO else 7)
    if re.fullmatch(r"0{1,8}(\.0{1,9})?", str(body.get("amount"))):
        body["amount"] = "1"
    scope = body.get("scope")
    if isinstance(scope, dict) and isinstance(scope.get("value"), str) and 0 < len(scope["value"]) <= 200:
        known = {"api_key": key_id, "model": "deepseek/deepseek-chat"}
        scope["value"] = known.get(str(scope.get("type")), scope["value"].strip() or "x")
    if isinstance(body.get("reason"), str) and 0 < len(body["reason"]) <= 200:
        body["reason"] = body["reason"].strip() or "x"
    if body.get("action") == "track":
        make_tracking_possible(body)


def make_times_possible(body: dict[str, Any]) -> None:
    """Move times into the future."""
    if isinstance(body.get("expiresAt"), str) and RFC_3339.fullmatch(body["expiresAt"]):
        body["expiresAt"] = "2099-01-01T00:00:00Z"
    if isinstance(body.get("until"), str) and RFC_3339.fullmatch(body["until"]):
        body["until"] = (timezone.now() + timedelta(days=1)).isoformat()


def make_tracking_possible(body: dict[str, Any]) -> None:
    """Move the call into the last month, and adjust its amounts."""
    if isinstance(body.get("at"), str) and RFC_3339.fullmatch(body["at"]):
        body["at"] = timezone.now().isoformat()
    if body.get("batch") is True and body.get("tier") in get_args(TierIn):
        body["tier"] = "batch"
    if isinstance(body.get("cost"), float) and 0 <= body["cost"] < DOLLARS_MAX:
        body["cost"] = min(round(body["cost"], 9), DOLLARS_MAX - 1)
    make_usage_possible(body.get("usage"))


def make_usage_possible(usage: object) -> None:
    """Make parts no larger than their totals."""
    if isinstance(usage, dict):
        for part in ("cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "reasoningTokens"):
            if _is_count(usage.get(part)):
                usage[part] = 0
        if _is_count(usage.get("totalTokens")):
            usage["totalTokens"] = None


def make_answer_possible(response: object) -> None:
    """Shorten content that is too long in bytes rather than characters: no schema states the limit of a body's size."""
    if not isinstance(response, dict):
        return
    make_usage_possible(response.get("usage"))
    content = response.get("content")
    if isinstance(content, str) and len(content) > CONTENT_MAX // 4:
        response["content"] = ("x" if content.strip() else " ") * min(len(content), CONTENT_MAX + 1)


def with_possible_numbers(value: Any) -> Any:
    """The value with integers limited to 64 bits: no schema covers members of any name and depth."""
    if isinstance(value, dict):
        return {name: with_possible_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_possible_numbers(each) for each in value]
    return value % 2**63 if type(value) is int and abs(value) >= 2**63 else value


def make_call_possible(body: dict[str, Any]) -> None:
    """Remove images: DeepSeek accepts none, and no schema knows the provider of a request."""
    body.update({name: with_possible_numbers(body[name]) for name in {"messages", "metadata", "parameters"} & {*body}})
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else []:
        _replace_images(message)


def _replace_images(holder: object) -> None:
    parts = holder.get("content") if isinstance(holder, dict) else None
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and (part.get("type") == "image" or _is_image_url(part)):
            part["type"] = "text"
            if part.get("text") is None:
                part["text"] = "x"
        _replace_images(part)


def _is_image_url(part: dict[str, Any]) -> bool:
    return part.get("type") == "image_url" and _has_address(part.get("image_url"))


def _has_address(image: object) -> bool:
    return isinstance(image, dict) and re.match("data:|https?://", str(image.get("url"))) is not None


def _is_count(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 10**9 and value == int(value)  # type: ignore[operator, call-overload]


def make_days_possible(query: dict[str, Any]) -> None:
    """Replace the days with a range that ends after it begins."""
    for name, day in (("first", "2026-01-01"), ("last", "2026-01-31")):
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(query[name])):
            query[name] = day


def make_possible(case: Case, request_id: str, budget_id: str, key_id: str) -> None:
    """Replace well-formed names with existing ones: no schema can know what exists."""
    assume(not runs_at_other_endpoint(case))
    known = {
        "provider": ("deepseek", 32),
        "model": ("deepseek-chat", 128),
        "organizationId": ("north", math.inf),
        "requestId": (request_id, math.inf),
        "budgetId": (budget_id, math.inf),
        "cursor": (CURSORS.get(case.path, CURSOR), math.inf),
    }
    for fields in (case.body, case.query):
        if isinstance(fields, dict):
            for name, (value, longest) in known.items():
                if isinstance(fields.get(name), str) and 0 < len(fields[name]) <= longest:
                    fields[name] = value
    if case.path == EVENTS and isinstance(case.query, dict) and isinstance(case.query.get("requestId"), str):
        named = str(case.query.get("types")).split(",")
        if EventType.REQUEST not in named and set(named) <= set(EventType):
            case.query["types"] = ",".join(
                [EventType.REQUEST, *named]
            )  # without its events, the stream would stay empty
    if isinstance(case.query, dict) and {"first", "last"} <= set(case.query):
        make_days_possible(case.query)
    if isinstance(case.body, dict):
        make_budget_possible(case.body, key_id)
        make_times_possible(case.body)
        make_answer_possible(case.body.get("response"))
        make_call_possible(case.body)


def runs_at_other_endpoint(case: Case) -> bool:
    """Whether the case runs at the other endpoint that accepts messages: both validate `messages` with one model.

    The thousands of variants are divided between the two endpoints by content.
    """
    described = getattr(case.meta.phase.data, "description", None) if case.meta else None
    if IS_FULL or case.path not in (CHAT, QUEUE) or not VARIES_MESSAGES.match(described or ""):
        return False
    assert isinstance(case.body, dict)
    return crc32(repr(case.body["messages"]).encode(errors="replace")) % 2 == [CHAT, QUEUE].index(case.path)


@schema_of_address.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_the_document_is_true(case: Case, admin_headers: dict[str, str], request_id: str, budget_id: str) -> None:
    make_possible(case, request_id, budget_id, admin_headers["Authorization"].split("_")[1])
    case.call_and_validate(headers=admin_headers)
