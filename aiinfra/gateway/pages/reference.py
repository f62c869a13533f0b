"""`/reference/`: the API as a page, from the same operations as the OpenAPI document."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import get_resolver
from django.utils.text import slugify
from django.views.decorators.http import require_GET
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aiinfra.api import Endpoint, Header, Operation
from aiinfra.gateway.pages.reference_schema import Field, Schemas, example_of, fields_of, name_of, type_of
from aiinfra.openapi import BODY_ERRORS, ERRORS, REF, ErrorOut, find_endpoints
from aiinfra.tenants.access import MemberRequest, permission_required

VENDOR_PREFIX = "/v1/"
"""Endpoints in the vendors' API formats. The page lists only the parameters that we read; others are passed on."""

CAPTURED = re.compile(r"<(?:\w+:)?(\w+)>")
FORMS = {("POST", "/v1/files"): "-F purpose=batch -F file=@calls.jsonl"}
"""Operations that take a form instead of JSON, with its fields as curl sends them."""
ALSO = {"EraseIn": {"user": "anna"}}
"""Members of an example that the operation requires although the schema doesn't."""

Names = dict[type[BaseModel], str]


@dataclass(frozen=True)
class OperationEntry:
    """One operation. `answers` are pairs of a status and the name of a shape."""

    anchor: str
    method: str
    action: str | None
    summary: str
    permission: str
    fields: list[Field]
    headers: list[Field]
    answers: list[tuple[int, str]]
    example_address: str
    """The URL, with its query if the operation has one."""
    example_body: str
    """JSON; empty for all methods but POST."""
    example_form: str = ""
    """The form fields for curl, instead of a body."""


@dataclass(frozen=True)
class EndpointEntry:
    """The operations of one address."""

    address: str
    anchor: str
    operations: list[OperationEntry]

    @property
    def is_vendor_endpoint(self) -> bool:
        """Whether parameters that are not listed are passed on."""
        return self.address.startswith(VENDOR_PREFIX)


@dataclass(frozen=True)
class Shape:
    """An object in bodies or answers."""

    name: str
    description: str
    type: str
    fields: list[Field]


@dataclass(frozen=True)
class Reference:
    """Everything on the page."""

    endpoints: list[EndpointEntry]
    shapes: list[Shape]
    errors: dict[int, str]


@permission_required("queue:read")
@require_GET
def reference(request: MemberRequest) -> HttpResponse:
    """The whole reference on one page, so that the browser's search finds everything."""
    context = {"reference": whole_reference(), "address": request.build_absolute_uri("/").rstrip("/")}
    return render(request, "gateway/reference.html", context)


@cache
def whole_reference() -> Reference:
    """Built once per process: the code does not change."""
    found = find_endpoints(get_resolver().url_patterns)
    known = {
        address: endpoint for address, endpoint in found if endpoint.is_in_schema or address.startswith(VENDOR_PREFIX)
    }
    names, schemas = _schemas(list(known.values()))
    entries = [_endpoint(address, endpoint, names, schemas) for address, endpoint in sorted(known.items())]
    payloads = _payload_names(known, names)
    shapes = [
        Shape(name, str(schema.get("description", "")), type_of(schema), fields_of(schema))
        for name, schema in sorted(schemas.items())
        if name not in payloads
    ]
    return Reference(entries, shapes, dict(sorted((ERRORS | BODY_ERRORS).items())))


def _schemas(endpoints: list[Endpoint]) -> tuple[Names, Schemas]:
    """The name of each model, and the schema of each name."""
    models: dict[type[BaseModel], None] = {ErrorOut: None}
    for operation in (each for endpoint in endpoints for each in endpoint.operations.values()):
        models |= dict.fromkeys([operation.payload, *(model for _, model in operation.results)])
    wanted: Any = [(model, "validation") for model in models]
    references, definitions = models_json_schema(wanted, by_alias=True, ref_template=REF)
    names = {model: name_of(references[model, "validation"]["$ref"]) for model in models}
    return names, definitions["$defs"]


def _payload_names(known: dict[str, Endpoint], names: Names) -> set[str]:
    """Shapes that are shown with their operation. Those that are also responses are listed separately too."""
    operations = [each for endpoint in known.values() for each in endpoint.operations.values()]
    answers = {names[model] for each in operations for _, model in each.results}
    return {names[each.payload] for each in operations} - answers


def _endpoint(address: str, endpoint: Endpoint, names: Names, schemas: Schemas) -> EndpointEntry:
    grouped: dict[str, list[OperationEntry]] = defaultdict(list)
    for (method, action), operation in endpoint.operations.items():
        grouped[method].append(_operation(address, method, action, operation, names, schemas))
    operations = [each for method in sorted(grouped) for each in grouped[method]]
    return EndpointEntry(shown(address), slugify(address.replace("/", "-")), operations)


def shown(address: str) -> str:
    """The address with its parameters as OpenAPI writes them: `/v1/models/{model}`."""
    return CAPTURED.sub(r"{\1}", address)


def _operation(
    address: str, method: str, action: str | None, operation: Operation, names: Names, schemas: Schemas
) -> OperationEntry:
    form = FORMS.get((method, address), "")
    name = names[operation.payload]
    schema = schemas[name]
    payload = {**({"action": action} if action else {}), **example_of(schema, schemas), **ALSO.get(name, {})}
    return OperationEntry(
        anchor=slugify(f"{method} {address.replace('/', '-')} {action or ''}"),
        method=method,
        action=action,
        summary=operation.summary,
        permission=" or ".join([operation.permission, *operation.or_permissions]),
        fields=[] if form else fields_of(schema),
        headers=[_header(each) for each in operation.headers],
        answers=[(status, names[model]) for status, model in operation.results],
        example_address=_address(address, payload, has_query=method != "POST"),
        example_body="" if form or method != "POST" else json.dumps(_not_in_path(address, payload)),
        example_form=form,
    )


def _header(header: Header) -> Field:
    return Field(header.name, header.schema["type"], is_required=False, description=header.description, models=())


def _address(address: str, payload: dict[str, Any], *, has_query: bool) -> str:
    """The address of a call, with its parameters in the path and, unless they are in the body, in the query."""
    path = CAPTURED.sub(lambda match: str(payload[match[1]]), address)
    query = "&".join(f"{name}={value}" for name, value in _not_in_path(address, payload).items())
    return f"{path}?{query}" if query and has_query else path


def _not_in_path(address: str, payload: dict[str, Any]) -> dict[str, Any]:
    captured = CAPTURED.findall(address)
    return {name: value for name, value in payload.items() if name not in captured}
