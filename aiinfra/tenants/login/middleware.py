"""Answers of the login pages: too many attempts, and addresses with a token."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from aiinfra.middleware import GetResponse
from aiinfra.tenants.login.attempts import TooManyAttemptsError


def without_referrer(response: HttpResponse) -> HttpResponse:
    """For URLs with a token: keep the browser from sending them as a referrer."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


class TooManyAttempts:
    """Middleware: 429 with Retry-After for TooManyAttemptsError."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page that says when to try again."""
        if not isinstance(error, TooManyAttemptsError):
            return None
        page = render(request, "429.html", {"problem": str(error)}, status=429)
        page.headers["Retry-After"] = str(error.retry_after_s)
        return page


def limited(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - allauth's
    """allauth's `handler429`: its limits on resets and confirmations."""
    return render(request, "429.html", {"problem": "Too many attempts. Try again later."}, status=429)
