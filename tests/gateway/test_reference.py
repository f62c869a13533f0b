"""`/reference/`: every operation with its fields, working links, and valid examples."""

import json
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from django.urls import get_resolver, resolve
from pydantic import ValidationError

from aiinfra.api import Operation
from aiinfra.gateway.pages.reference import shown, whole_reference
from aiinfra.gateway.pages.reference_schema import example_of, fields_of, type_of
from aiinfra.openapi import document, find_endpoints
from aiinfra.tenants.models import User
from queue_app.api import DRY_RUN
from tests.api.support import COMPLETIONS, EMBEDDINGS, MESSAGES_DOOR, RESPONSES

Browser = Callable[[User], Client]


def operations() -> dict[tuple[str, str, str | None], Operation]:
    """The operations by address, method, and action."""
    found = {shown(address): each for address, each in find_endpoints(get_resolver().url_patterns)}
    return {(address, *key): each for address, endpoint in found.items() for key, each in endpoint.operations.items()}


@pytest.fixture
def page(viewer: User, client_of: Browser) -> str:
    return client_of(viewer).get("/reference/").text


def test_page_has_every_documented_path_and_every_v1_endpoint(page: str) -> None:
    listed = {endpoint.address for endpoint in whole_reference().endpoints}
    assert listed >= set(document()["paths"])
    assert listed >= {"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/models/{model}"}
    assert all(address in page for address in listed)


def test_every_operation_has_its_permission_and_all_its_fields() -> None:
    known = operations()
    for endpoint in whole_reference().endpoints:
        for entry in endpoint.operations:
            operation = known[endpoint.address, entry.method, entry.action]
            names = {each.alias or name for name, each in operation.payload.model_fields.items()}
            assert operation.permission in entry.permission
            assert [each.name for each in entry.headers] == [each.name for each in operation.headers]
            assert entry.example_form or {each.name for each in entry.fields} == names
    assert len({each.anchor for endpoint in whole_reference().endpoints for each in endpoint.operations}) == sum(
        len(endpoint.operations) for endpoint in whole_reference().endpoints
    )


def test_operations_with_dry_run_document_the_header(page: str) -> None:
    quoted = {
        endpoint.address
        for endpoint in whole_reference().endpoints
        if any(each.name == DRY_RUN for entry in endpoint.operations for each in entry.headers)
    }
    assert quoted == {"/api/ai/chat", "/api/ai/queue", COMPLETIONS, RESPONSES, MESSAGES_DOOR, EMBEDDINGS}
    assert page.count(f"<code>{DRY_RUN}</code>") == len(quoted)


def test_every_internal_link_has_a_target(page: str) -> None:
    ids = re.findall(r'id="([^"]+)"', page)
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets - set(ids) == set()
    assert len(ids) == len(set(ids))


def test_every_example_is_valid() -> None:
    known, refused = operations(), []
    for endpoint in whole_reference().endpoints:
        for entry in (each for each in endpoint.operations if not each.example_form):
            assert "<" not in entry.example_address and bool(entry.example_body) == (entry.method == "POST")
            query = dict(parse_qsl(urlsplit(entry.example_address).query))
            raw = resolve(urlsplit(entry.example_address).path).kwargs | query
            raw |= json.loads(entry.example_body or "{}")
            raw.pop("action", None)
            payload = known[endpoint.address, entry.method, entry.action].payload
            try:
                payload.model_validate(raw, by_alias=True, by_name=False, strict=entry.method == "POST")
            except ValidationError as error:
                refused.append(f"{entry.anchor} {raw}: {error}")
    assert refused == []


def test_examples_with_curl_name_the_method_and_show_values_of_json(page: str) -> None:
    deleted = [
        each for endpoint in whole_reference().endpoints for each in endpoint.operations if each.method == "DELETE"
    ]
    assert deleted and page.count("curl -sS -X DELETE ") == len(deleted)
    assert "default True" not in page and "default true" in page
    assert "What is a queue?" in page and "{&quot;role&quot;: &quot;system&quot;" not in page


def test_page_loads_no_external_resources(page: str) -> None:
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]+)"', page)
    assert loaded
    assert all(each.startswith("/") and not each.startswith("//") for each in loaded)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "maxLength": 5}, "string, at most 5 characters"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 3}, "list of integer, at most 3"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"enum": ["a", "b"]}, '"a" or "b"'),
        ({"$ref": "#/components/schemas/Thing"}, "Thing"),
        ({"type": ["string", "null"]}, "string or null"),
        ({}, "any value"),
    ],
)
def test_schema_types_are_described_in_words(schema: dict[str, object], text: str) -> None:
    assert type_of(schema) == text


def test_example_of_a_recursive_schema_is_finite() -> None:
    node = {"type": "object", "properties": {"child": {"$ref": "#/x/Node"}}, "required": ["child"]}
    assert "child" in example_of(node, {"Node": node})
    assert [each.models for each in fields_of(node)] == [("Node",)]
