"""The answer to a URL that does not exist. A client with a wrong base URL reads which URL it meant."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.views import defaults

from aiinfra.api import Endpoint
from aiinfra.error_responses import error_response
from aiinfra.failures import ApiError, is_for_programs, not_found, printable_path


def handle_404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page for people, an error for programs: in the shape of the endpoint that they meant, if there is one."""
    is_page = "text/html" in request.headers.get("Accept", "")
    if not is_page and (meant := _meant(request.path_info)):
        url = printable_path(request.path_info)
        error = ApiError(404, "not_found", f"Unknown URL: {url}. Did you mean {meant}? Check the client's base URL.")
        return error_response(request, error, path=meant)
    if is_for_programs(request):
        return error_response(request, not_found())
    return defaults.page_not_found(request, exception)


def _meant(path: str) -> str | None:
    return next((url for url in _corrections(path) if _is_endpoint(url)), None)


def _corrections(path: str) -> Iterator[str]:
    """Without needless slashes, and with one `/v1`. OpenAI's clients want it in their base URL, Anthropic's do not."""
    parts = [part for part in path.split("/") if part]
    yield "/" + "/".join(parts)
    while parts[:1] == ["v1"]:
        del parts[0]
    yield "/" + "/".join(["v1", *parts])


def _is_endpoint(url: str) -> bool:
    try:
        return isinstance(resolve(url).func, Endpoint)
    except Resolver404:
        return False
