"""Counts the responses of the API, refusals included."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from aiinfra.failures import is_for_programs
from aiinfra.metrics import recorded
from aiinfra.middleware import GetResponse


def counted(get_response: GetResponse) -> GetResponse:
    """Middleware: count each response of the API by endpoint and status."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if is_for_programs(request):
            match = request.resolver_match
            recorded.responded(f"/{match.route}" if match else recorded.OTHER, response.status_code)
        return response

    return middleware
