"""Generates the OpenAPI document from the operations of the endpoints."""

import json
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver
from django.views.decorators.http import require_safe
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aiinfra.api import IDEMPOTENCY_KEY as KEY_PATTERN
from aiinfra.api import ApiModel, Endpoint, Header, Operation
from aiinfra.tenants.access import public

REF = "#/components/schemas/{model}"
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
}
ERRORS = {
    400: "Malformed; param names the field",
    401: "Missing or invalid credentials",
    403: "The role or scope does not allow this",
    404: "Does not exist or belongs to another organization",
    405: "Method not allowed",
    429: "Too many requests; Retry-After says when to retry",
    500: "Internal error",
    503: "The database is unreachable or the server is at capacity; Retry-After says when to retry",
}
BODY_ERRORS = {
    402: "Budget exceeded",
    409: "Conflict",
    413: "Body larger than 1 MiB",
    415: "Not JSON",
    422: "The model has no price, or the amount exceeds a limit",
    502: "The provider failed",
    504: "No answer in time",
}
"""Statuses that only an operation with a body can return."""
BESIDE = {"organizationId": {"type": ["string", "null"], "description": "the organization's slug"}}
"""Parameters that every query and body accepts besides the payload."""


class ErrorBody(ApiModel):
    """What went wrong; `param` names the field."""

    type: str
    message: str
    param: str | None
    request_id: str | None


class ErrorOut(ApiModel):
    """The error shape of every response."""

    error: ErrorBody


@public
@require_safe
def schema(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view takes the request
    """`/api/schema`: OpenAPI 3.1."""
    return HttpResponse(_text(), content_type="application/json")


@cache
def _text() -> str:
    """Encoded once, because the endpoint is public."""
    return json.dumps(document())


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    found = find_endpoints(get_resolver().url_patterns)
    endpoints = {address: endpoint for address, endpoint in found if endpoint.is_in_schema}
    operations = [operation for endpoint in endpoints.values() for operation in endpoint.operations.values()]
    models: list[type[BaseModel]] = [ErrorOut]
    for operation in operations:
        models += [operation.payload, *(model for _, model in operation.results)]
    definitions = models_json_schema([(model, "validation") for model in models], by_alias=True, ref_template=REF)[1]
    return {
        "openapi": "3.1.0",
        "info": {"title": "aiinfra", "version": "1"},
        "security": [{"key": []}],
        "paths": {address: _path(endpoint, definitions["$defs"]) for address, endpoint in endpoints.items()},
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def find_endpoints(patterns: list[Any], prefix: str = "/") -> list[tuple[str, Endpoint]]:
    """(URL, endpoint) of every JSON endpoint in a URLconf."""
    found: list[tuple[str, Endpoint]] = []
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += find_endpoints(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern) and isinstance(pattern.callback, Endpoint):
            found.append((address, pattern.callback))
    return found


def _path(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    if gets := _of_method(endpoint, "GET"):
        query = _query(gets, schemas)
        methods["get"] = {"summary": _summary(gets), "parameters": [query], **_answers(gets, ERRORS)}
    if posts := _of_method(endpoint, "POST"):
        body = _body(posts, schemas)
        answers = _answers(posts, ERRORS | BODY_ERRORS)
        headers = [IDEMPOTENCY_KEY, *map(_header, endpoint.headers("POST"))]
        methods["post"] = {"summary": _summary(posts), "parameters": headers, **body, **answers}
    return methods


def _header(header: Header) -> dict[str, Any]:
    return {"name": header.name, "in": "header", "description": header.description, "schema": dict(header.schema)}


def _of_method(endpoint: Endpoint, method: str) -> dict[str | None, Operation]:
    return {action: operation for (verb, action), operation in endpoint.operations.items() if verb == method}


def _summary(operations: dict[str | None, Operation]) -> str:
    return "; ".join(operation.summary for operation in operations.values())


def _query(operations: dict[str | None, Operation], schemas: dict[str, Any]) -> dict[str, Any]:
    """The query as one exploded object, so that its schema can say which parameters belong to which action."""
    shape = {"type": "object", **_without_null(_one_of(operations, schemas))}
    required = None not in operations
    return {"name": "query", "in": "query", "style": "form", "explode": True, "required": required, "schema": shape}


def _without_null(shape: Any) -> Any:
    """The same schema for a query, where nothing can be null."""
    if isinstance(shape, list):
        return [_without_null(each) for each in shape if each != {"type": "null"}]
    if not isinstance(shape, dict):
        return shape
    if shape.get("type") == ["string", "null"]:
        shape = {**shape, "type": "string"}
    return {name: _without_null(each) for name, each in shape.items() if each not in (None, {"type": "null"})}


def _body(operations: dict[str | None, Operation], schemas: dict[str, Any]) -> dict[str, Any]:
    shape = _one_of(operations, schemas)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": shape}}}}


def _one_of(operations: dict[str | None, Operation], schemas: dict[str, Any]) -> dict[str, Any]:
    variants = [_variant(action, schemas[operation.payload.__name__]) for action, operation in operations.items()]
    return variants[0] if len(variants) == 1 else {"oneOf": variants}


def _variant(action: str | None, payload: dict[str, Any]) -> dict[str, Any]:
    """A payload with its action; a missing or null action means the URL's default."""
    named: dict[str, Any] = {"action": {"type": "null"} if action is None else {"type": "string", "const": action}}
    properties = {**named, **BESIDE, **payload.get("properties", {})}
    required = [*(["action"] if action else []), *payload.get("required", [])]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _answers(operations: dict[str | None, Operation], errors: dict[int, str]) -> dict[str, Any]:
    good: dict[int, list[str]] = {}
    for operation in operations.values():
        for status, model in operation.results:
            names = good.setdefault(status, [])
            if model.__name__ not in names:
                names.append(model.__name__)
    content_type = next(iter(operations.values())).content_type
    answers = {str(status): _answer("Done", names, content_type) for status, names in good.items()}
    answers |= {str(status): _answer(text, ["ErrorOut"]) for status, text in errors.items()}
    return {"responses": answers}


def _answer(description: str, names: list[str], content_type: str = "application/json") -> dict[str, Any]:
    shapes = [{"$ref": REF.format(model=name)} for name in names]
    shape = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    return {"description": description, "content": {content_type: {"schema": shape}}}
