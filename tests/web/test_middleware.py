import gzip
import re
from collections.abc import Callable
from ipaddress import ip_network

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.tenants.caller import client_address
from aiinfra.tenants.models import User

GENERATED = re.compile(r"[0-9a-f]{32}")


def test_a_valid_request_id_is_used_and_returned(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": "trace-0123.45_6"})
    assert response.headers["X-Request-Id"] == "trace-0123.45_6"


@pytest.mark.parametrize(
    "offered", ["", "short", "x" * 65, "line\nbreak-in-it", "<script>alert</script>", "naïve-name"]
)
def test_an_invalid_request_id_is_replaced(client: Client, offered: str) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": offered})
    assert GENERATED.fullmatch(response.headers["X-Request-Id"])


@pytest.mark.django_db
def test_every_response_has_restrictive_security_headers(client: Client) -> None:
    for path in ("/healthz", reverse("login"), "/nothing-here/", "/admin/login/"):
        headers = client.get(path).headers
        assert {"camera=()", "microphone=()", "geolocation=()"} <= set(headers["Permissions-Policy"].split(", "))
        policy = headers["Content-Security-Policy"]
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["script-src"] == rules["default-src"] == rules["style-src"] == "'self'"
        assert rules["object-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        assert "unsafe-eval" not in policy


@pytest.mark.parametrize("name", ["login", "queue_requests", "cost_csv", "organization", "api_schema"])
def test_head_has_the_status_and_headers_of_get(owner: User, client_of: Callable[[User], Client], name: str) -> None:
    client, url = client_of(owner), reverse(name)
    answers = [client.get(url), client.head(url)]
    assert {(answer.status_code, answer.headers.get("Content-Type")) for answer in answers} == {
        (302 if name == "login" else 200, answers[0].headers.get("Content-Type"))
    }
    assert not answers[1].getvalue()


def test_head_changes_nothing(owner: User, client_of: Callable[[User], Client]) -> None:
    for url in (reverse("logout"), reverse("queue_pause")):
        assert client_of(owner).head(url).status_code == 405


def test_no_page_has_inline_scripts_styles_or_handlers(owner: User, client_of: Callable[[User], Client]) -> None:
    client = client_of(owner)
    for name in ("members", "keys", "organization", "audit"):
        page = client.get(reverse(name)).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\bhx-on|javascript:", page)


def test_behind_a_proxy_the_last_forwarded_address_is_used(settings: Settings) -> None:
    request = RequestFactory().get("/", headers={"X-Forwarded-For": "6.6.6.6, 10.0.0.9"}, REMOTE_ADDR="127.0.0.1")
    assert client_address(request) == "127.0.0.1"
    settings.BEHIND_PROXY = True
    assert client_address(request) == "10.0.0.9"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:x", None),
        ("unknown", None),
        ("1.1.1.1, ", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_a_port_in_the_forwarded_address_is_removed(settings: Settings, forwarded: str, address: str | None) -> None:
    settings.BEHIND_PROXY = True
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR="127.0.0.1")
    assert client_address(request) == address


def test_forwarding_headers_from_untrusted_clients_are_ignored(client: Client, settings: Settings) -> None:
    settings.BEHIND_PROXY = True
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.0/24")]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    headers = {"X-Forwarded-Proto": "https"}
    assert not client.get("/healthz", headers=headers).wsgi_request.is_secure()
    assert client.get("/healthz", headers=headers, REMOTE_ADDR="192.0.2.7").wsgi_request.is_secure()


@pytest.mark.parametrize("address", ["", "nonsense", "10.0.0.1'; DROP TABLE", "unix:"])
def test_an_invalid_address_is_none(address: str) -> None:
    assert client_address(RequestFactory().get("/", REMOTE_ADDR=address)) is None


GZIP = {"Accept-Encoding": "gzip"}


def test_pages_and_figures_are_compressed(owner: User, client_of: Callable[[User], Client]) -> None:
    client = client_of(owner)
    page = client.get(reverse("prices"), headers=GZIP)
    assert page.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in page.headers["Vary"]
    assert "Prices" in gzip.decompress(page.content).decode()


def test_compressed_pages_are_padded_with_random_bytes(owner: User, client_of: Callable[[User], Client]) -> None:
    client = client_of(owner)
    sizes = {len(client.get(reverse("prices"), headers=GZIP).content) for _ in range(20)}
    assert len(sizes) > 1


def test_files_and_the_api_are_not_compressed(owner: User, client_of: Callable[[User], Client]) -> None:
    client = client_of(owner)
    for path in (reverse("queue_request_export"), "/api/schema", "/v1/models", "/api/ai/events"):
        response = client.head(path, headers=GZIP) if path.endswith("events") else client.get(path, headers=GZIP)
        assert response.status_code == 200
        assert "Content-Encoding" not in response.headers
