"""Base classes of the `/v1` endpoints: request and response bodies with arbitrary members."""

from collections.abc import Mapping
from typing import Any

import pydantic_core
from django.conf import settings
from django.http import HttpResponse
from pydantic import ConfigDict

from aiinfra.api import ApiModel, Endpoint
from aiinfra.bodies import MIB
from aiinfra.json_body import CALL_NODES_MAX
from aiinfra.providers.dialects.shapes import Shape


class OpenBody(ApiModel):
    """A body in the vendor's own names. Members that we do not know are passed on."""

    model_config = ConfigDict(alias_generator=None, extra="allow")


class StreamOptions(Shape):
    """Options of a stream."""

    include_usage: bool | None = None


class VendorEndpoint(Endpoint):
    """An endpoint in a vendor's API format."""

    body_bytes_max = settings.CALL_MIB_MAX * MIB
    body_nodes_max = CALL_NODES_MAX
    is_in_schema = False


class OpenAIEndpoint(VendorEndpoint):
    """An endpoint in OpenAI's API format."""


def json_of(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A JSON response with the body's own names."""
    return HttpResponse(
        pydantic_core.to_json(body), status=status, content_type="application/json", headers=dict(headers or {})
    )
