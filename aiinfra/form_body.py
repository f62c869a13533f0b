"""Reads `multipart/form-data` bodies of the API as strictly as JSON bodies."""

from typing import Any

from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError

from aiinfra.failures import ApiError

REPEATED = "This field appears more than once."


def read_form(request: HttpRequest) -> dict[str, Any]:
    """The fields and files of the form by name. Raises ApiError 400 or 415, and 400 for a repeated name.

    Servers differ on which of several repeated fields they use, so a proxy could check a different one than we do.
    """
    if request.content_type != "multipart/form-data":
        raise ApiError(415, "unsupported_media_type", "Send a form with Content-Type: multipart/form-data.")
    try:
        parts: list[tuple[str, list[Any]]] = [*request.POST.lists(), *request.FILES.lists()]
    except MultiPartParserError as error:
        raise ApiError(400, "invalid_request", f"The form is malformed: {error}") from None
    fields: dict[str, Any] = {}
    for name, values in parts:
        if len(values) > 1 or name in fields:
            raise ApiError(400, "invalid_request", REPEATED, param=name)
        fields[name] = values[0]
    return fields
