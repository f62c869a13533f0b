"""Variants of known attacks at other endpoints."""

import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django.fixtures import Settings

from aiinfra.egress import EgressRefusedError
from aiinfra.tenants import audit
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.privacy import erasures, holds
from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.export import lines
from aiinfra.tenants.security_log.recorder import record
from aiinfra.tenants.sso import client as oidc
from queue_app.models import AIRequest
from queue_app.request_lists import PAGE_SIZE
from tests.api.authorization_cells import PAGE_CELLS, PUBLIC
from tests.api.support import (
    COMPLETIONS,
    COST,
    COUNT_TOKENS,
    EMBEDDINGS,
    KEYS,
    MESSAGES_DOOR,
    METRICS,
    MODELS,
    PRIVACY,
    QUEUE,
    RESPONSES,
    Caller,
    enqueue_body,
    new_key,
)

ENDPOINTS = [COMPLETIONS, RESPONSES, EMBEDDINGS, MESSAGES_DOOR, COUNT_TOKENS, QUEUE, COST, KEYS, PRIVACY]
Browser = Callable[[User], Client]

pytestmark = pytest.mark.usefixtures("priced")


# Other endpoints


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_session_requires_a_csrf_token_at_every_endpoint(
    organization: Organization, owner: User, endpoint: str
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = browser.post(endpoint, "{}", content_type=kind, headers={"Origin": "https://evil.example"})
        assert answer.status_code in {403, 415}, (kind, answer.status_code)


@pytest.mark.parametrize("endpoint", [*ENDPOINTS, METRICS, MODELS])
def test_key_is_accepted_only_in_its_header(organization: Organization, endpoint: str) -> None:
    key = new_key(organization, Role.OWNER)
    query = f"?api_key={key}&key={key}&token={key}&access_token={key}&Authorization=Bearer%20{key}"
    call = getattr(Client(), "get" if endpoint in {METRICS, MODELS} else "post")
    for headers in ({"Cookie": f"api_key={key}; Authorization={key}"}, {"Authorization": f"Basic {key}"}):
        assert call(endpoint + query, headers=headers).status_code == 401
    if not endpoint.startswith((MESSAGES_DOOR, MODELS)):
        assert call(endpoint, headers={"X-Api-Key": key}).status_code == 401


@pytest.mark.parametrize(
    "path", ["//api/ai/queue", "/API/ai/queue", "/api/ai/queue/", "/api/./ai/queue", "/v1//models"]
)
def test_other_spellings_of_a_path_do_not_open_it(path: str) -> None:
    assert Client().get(path).status_code in {301, 400, 401, 404}


def test_forwarding_headers_of_untrusted_clients_do_not_bypass_the_rate_limit(settings: Settings) -> None:
    settings.UNAUTHENTICATED_PER_MINUTE = 5

    def guess(number: int) -> int:
        address = f"9.9.9.{number}"
        headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": address, "Forwarded": f"for={address}"}
        endpoint = ENDPOINTS[number % len(ENDPOINTS)]
        return int(Client().post(endpoint, "{}", content_type="application/json", headers=headers).status_code)

    assert [guess(number) for number in range(12)][-4:] == [429] * 4


# Access to other organizations


@pytest.mark.parametrize(
    "name", ["south", "SOUTH", " south", "south ", "\uff53outh", "{pk}", "north\0", "south/../north"]
)
def test_no_spelling_switches_to_another_organization(
    owner: User, other_organization: Organization, client_of: Browser, name: str
) -> None:
    browser = client_of(owner)
    wanted = name.format(pk=other_organization.pk)
    assert browser.post(reverse("switch_organization"), {"organization": wanted}).status_code == 404
    assert "South Ltd" not in browser.get(reverse("members")).text


def test_caller_cannot_name_another_organization(organization: Organization, other_organization: Organization) -> None:
    caller = Caller(key=new_key(organization, Role.OPERATOR))
    names = ("organization", "organizationId", "organization_id", "org")
    headers = {f"X-{name}": other_organization.slug for name in names} | {"OpenAI-Organization": "south"}
    body = {**enqueue_body(), "tags": ["x"]}
    query = "&".join(f"{name}={other_organization.pk}" for name in names)
    assert caller.post(f"{QUEUE}?{query}", body, **headers).status_code == 202
    with system_scope():
        assert AIRequest.objects.get().organization == organization


def test_idempotency_keys_are_separate_per_organization(
    organization: Organization, other_organization: Organization
) -> None:
    ours, theirs = (Caller(key=new_key(each, Role.OPERATOR)) for each in (organization, other_organization))
    ids = {
        caller.post(QUEUE, enqueue_body(), **{"Idempotency-Key": "same-4711"}).json()["requestId"]
        for caller in (ours, theirs)
    }
    assert len(ids) == 2


def test_cursor_of_another_organization_shows_only_own_rows(
    organization: Organization, other_organization: Organization
) -> None:
    ours, theirs = (Caller(key=new_key(each, Role.OPERATOR)) for each in (organization, other_organization))
    own = ours.post(QUEUE, enqueue_body()).json()["requestId"]
    for _ in range(PAGE_SIZE + 1):
        theirs.post(QUEUE, enqueue_body())
    cursor = theirs.get(QUEUE, action="list").json()["nextCursor"]
    assert cursor
    page = ours.get(QUEUE, action="list", cursor=cursor).json()
    assert [each["requestId"] for each in page["requests"]] == [own]


# Malformed input


PARAMETERS = "page q text organization next provider model tier user tag from to since until cursor status key id like"
ODD = ["\0", b"\xed\xa0\x80", "9" * 40, "-1", "{{7*7}}%s%n", "%" * 200, "[]"]


def test_malformed_parameters_do_not_break_pages(owner: User, client_of: Browser, settings: Settings) -> None:
    settings.PAGES_PER_MINUTE_PERSON = settings.PAGES_PER_MINUTE_ADDRESS = 10_000
    owner.is_staff = owner.is_superuser = True
    owner.save()
    anonymous, browser, broken = Client(), client_of(owner), []
    for cell in PAGE_CELLS:
        if cell.method != "get" or cell.names or cell.url_name == "readyz":
            continue
        for shift in range(3):
            query = {name: ODD[(at + shift) % len(ODD)] for at, name in enumerate(PARAMETERS.split())}
            answer = (anonymous if cell.permission == PUBLIC else browser).get(reverse(cell.url_name), query)
            if answer.status_code >= 500:
                broken.append((cell.url_name, shift))
    assert broken == []


def test_large_numbers_in_paths_do_not_break_pages(owner: User, client_of: Browser) -> None:
    browser, tried = client_of(owner), 0
    for cell in PAGE_CELLS:
        try:
            address = reverse(cell.url_name, args=[10**30])
        except NoReverseMatch:
            continue
        tried += 1
        assert getattr(browser, cell.method)(address).status_code in {302, 403, 404, 405, 422}, str(cell)
    assert tried > 15


@pytest.mark.parametrize("name", ["login", "account_reset_password"])
def test_form_with_too_many_fields_is_rejected(name: str, settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    form = {f"field{number}": "x" for number in range(5_000)}
    assert Client().post(reverse(name), form).status_code == 400


def test_every_exported_event_is_one_line() -> None:
    forged = 'x\r\n{"event": "forged"}\u2028\u2029\x85\x1b[31m\0'
    record(Event.LOG_IN_FAILED, actor=forged, target=forged, details={forged: forged})
    (text,) = lines(actor="user:x", filters={"event": "login.failed"})
    assert json.loads(text)["event"] == "login.failed"
    assert len(text.splitlines()) == 1 and text.strip().isprintable()


# Identity providers


@pytest.mark.parametrize(
    "issuer",
    [
        "https://127.0.0.1",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://2130706433",
        "https://0x7f.1",
        "https://localhost.",
        "https://127。0。0。1",
        "https://169.254.169.254",
    ],
)
def test_issuer_in_the_internal_network_is_rejected(issuer: str) -> None:
    with pytest.raises(oidc.ProviderError) as refused:
        oidc.discover(issuer)
    assert isinstance(refused.value.__cause__, EgressRefusedError), "a connection was attempted"


@pytest.mark.parametrize(
    "issuer",
    [
        "https://user:password@idp.example",
        "http://idp.example",
        "file:///etc/passwd",
        "https://",
    ],
)
def test_issuer_with_an_invalid_address_is_rejected(issuer: str) -> None:
    with pytest.raises(oidc.ProviderError, match="must start with https"):
        oidc.discover(issuer)


# Privacy


@pytest.mark.parametrize("spelled", ["anna", " anna", "anna ", "anna\u00a0", "an\u200bna"])
def test_no_spelling_of_a_user_bypasses_a_legal_hold(organization: Organization, spelled: str) -> None:
    holds.place(organization_id=organization.pk, user_ref="anna", reason="a case", actor="command:test")
    with pytest.raises(holds.HeldError):
        erasures.order(organization=organization, user_ref=spelled, actor="command:test")


def test_legal_hold_on_a_user_blocks_the_erasure_of_everything(organization: Organization) -> None:
    holds.place(organization_id=organization.pk, user_ref="anna", reason="a case", actor="command:test")
    with pytest.raises(holds.HeldError):
        erasures.order(organization=organization, user_ref="", everything=True, actor="command:test")


# Staff rights


def test_staff_cannot_rename_themselves_to_approve_their_own_price(owner: User, client_of: Browser) -> None:
    from django.contrib.auth.models import Permission

    owner.is_staff = True
    owner.save()
    owner.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user", "approve_prices"]))
    page = reverse("admin:tenants_user_change", args=[owner.pk])
    client_of(owner).post(page, {"username": "somebody", "is_active": "on", "email": owner.email})
    owner.refresh_from_db()
    assert audit.user_actor(owner) == "user:owner"
