"""The authorization matrix: every operation and page, by role, credential, and organization."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra import timed_cache
from aiinfra.redis import bytes_client
from aiinfra.tenants.access import permission_required
from aiinfra.tenants.authorization import PERMISSIONS, Role
from aiinfra.tenants.models import Organization, User
from tests.api import authorization_cells as pages
from tests.api import authorization_operations as calls
from tests.api.authorization_rows import Ids, make_entry
from tests.api.support import Caller, error_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "authorization.md"
LOGIN = re.compile(r"/(admin/)?login/\?next=")

CREDENTIALS = ["session", "key"]
CALLERS = (
    list(product(Role, CREDENTIALS))
    if connection.vendor == "sqlite"
    else [(Role.OWNER, "session"), (Role.OWNER, "key")]
)
"""Permissions do not depend on the database. On PostgreSQL, owners open everything, so that every query runs there."""
PAGE_CALLERS = [each for each in CALLERS if connection.vendor == "sqlite" or each[1] == "session"]
"""An API key opens no page."""
PARTS = 4
KEPT = re.compile(r"_figure$|_burn_down$|_history$|_latency$")
"""Figures, which the browser may cache. Pages are never cached."""
NOBODY = ((Role.OWNER, "session"), "anonymous")
"""The cell without a credential, where role and credential have no meaning."""
Cell = TypeVar("Cell", calls.ApiCell, pages.PageCell)


@pytest.fixture
def own(ids_of: Callable[[Organization], Ids], organization: Organization) -> Ids:
    return ids_of(organization)


@pytest.fixture
def foreign(ids_of: Callable[[Organization], Ids], other_organization: Organization) -> Ids:
    return ids_of(other_organization)


@pytest.fixture
def callers(
    key_of: Callable[..., Caller], member_of: Callable[[Role], User], client_of: Callable[[User], Client]
) -> dict[tuple[Role, str], Caller]:
    """A caller by role and credential."""
    return {
        (role, credential): key_of(role) if credential == "key" else Caller(client_of(member_of(role)))
        for role, credential in CALLERS
    }


@contextmanager
def rolled_back(caller: Caller) -> Iterator[Caller]:
    """The caller for one call, after which database and cookies are restored."""
    cookies = {name: morsel.value for name, morsel in caller.client.cookies.items()}
    with transaction.atomic():
        yield caller
        transaction.set_rollback(True)
    caller.client.cookies.clear()
    caller.client.cookies.load(cookies)


@contextmanager
def redis_restored() -> Iterator[None]:
    """Restores Redis and clears the process cache afterwards."""
    client = bytes_client()
    kept = [(key, client.pttl(key), client.dump(key)) for key in client.scan_iter()]
    yield
    client.flushdb()
    for key, ttl_ms, value in kept:
        client.restore(key, max(ttl_ms, 0), value)
    timed_cache.clear_all()


def in_parts(cells: Iterable[Cell]) -> dict[str, Any]:
    """A few tests, each of several permission areas, because creating the callers takes longer than many calls."""
    areas: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        areas[cell.permission.partition(":")[0]].append(cell)
    names = [[*areas][first::PARTS] for first in range(PARTS)]
    parts = [[cell for name in part for cell in areas[name]] for part in names]
    return {"argvalues": parts, "ids": [" ".join(part) for part in names]}


def kind_of(response: HttpResponse) -> str:
    """`open`, `login`, or the status."""
    if response.status_code == 302 and LOGIN.match(response["Location"]):
        return "login"
    return "open" if response.status_code in {200, 201, 202, 204, 302, 422} else str(response.status_code)


def call_api(cell: calls.ApiCell, caller: Caller, place: str, own: Ids, foreign: Ids) -> str:
    fields = cell.fields(foreign if place == "foreign" else own)
    if place == "named":
        fields["organizationId"] = "south"
    if cell.is_form:
        form = {**fields, "file": SimpleUploadedFile("calls.jsonl", b"{}")}
        response = caller.client.post(cell.address, form, headers=caller.headers)
    elif cell.method == "POST":
        response = caller.post(cell.address, fields)
    else:
        response = caller.client.generic(cell.method, cell.address, query_params=fields, headers=caller.headers)
    if response.status_code >= 400:
        error_of(response)
    return kind_of(response)


def wrong_api_cells(
    cell: calls.ApiCell, callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> Iterator[tuple[str, ...]]:
    places = ["own", "named", *(["foreign"] if cell.names else [])]
    with redis_restored():
        for (role, credential), place in [*product(CALLERS, places), NOBODY]:
            expected = calls.expected_of_api(cell, role, credential, place)
            with rolled_back(callers[role, credential] if place != "anonymous" else Caller()) as who:
                found = call_api(cell, who, place, own, foreign)
            if found != expected:
                yield str(cell), role.value, credential, place, f"expected {expected}, found {found}"


@pytest.mark.parametrize("cells", **in_parts(calls.API_CELLS))
def test_every_operation_matches_the_matrix(
    cells: list[calls.ApiCell], callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> None:
    assert [wrong for cell in cells for wrong in wrong_api_cells(cell, callers, own, foreign)] == []


def call_page(cell: pages.PageCell, caller: Caller, place: str, own: Ids, foreign: Ids) -> str:
    ids = foreign if place == "foreign" else own
    if cell.names == "entry":  # stored in Redis, which is not rolled back
        for organization in Organization.objects.all():
            make_entry(organization)
    url = reverse(cell.url_name, args=ids[cell.names].split() if cell.names else [])
    data = {"organization": "south" if place == "foreign" else "north"} if cell.method == "post" else {}
    response = getattr(caller.client, cell.method)(url, data, headers=caller.headers)
    kind, text = kind_of(response), response.getvalue()  # getvalue() reads the whole response, which closes its file
    assert kind != "403" or b"t have access" in text
    if kind == "open" and cell.method == "get" and cell.permission != pages.PUBLIC and not KEPT.search(cell.url_name):
        assert "no-store" in response["Cache-Control"], str(cell)
    back = url if cell.method == "get" else reverse("home")  # where a form was sent from is not known here
    assert kind != "login" or response["Location"] == f"{reverse('login')}?next={back}"
    return kind


def wrong_page_cells(
    cell: pages.PageCell, callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> Iterator[tuple[str, ...]]:
    names_theirs = cell.names in pages.OF_AN_ORGANIZATION or cell.url_name == "switch_organization"
    places = ["own", *(["foreign"] if names_theirs else [])]
    with redis_restored():
        for (role, credential), place in [*product(PAGE_CALLERS, places), NOBODY]:
            expected = pages.expected_of_page(cell, role, credential, place)
            with rolled_back(callers[role, credential] if place != "anonymous" else Caller()) as who:
                found = call_page(cell, who, place, own, foreign)
            if found != expected:
                yield str(cell), role.value, credential, place, f"expected {expected}, found {found}"


@pytest.mark.parametrize("cells", **in_parts(pages.PAGE_CELLS))
def test_every_page_matches_the_matrix(
    cells: list[pages.PageCell], callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> None:
    assert [wrong for cell in cells for wrong in wrong_page_cells(cell, callers, own, foreign)] == []


def test_session_cannot_switch_to_a_foreign_organization(
    callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids, other_organization: Organization
) -> None:
    for cell in pages.PAGE_CELLS:
        if cell.method != "get" or cell.permission == pages.PUBLIC or cell.names:
            continue
        with rolled_back(callers[Role.OWNER, "session"]) as who:
            session = who.client.session
            session["organization_id"] = other_organization.pk
            session.save()
            response = who.client.get(reverse(cell.url_name), follow=True)
        text = response.getvalue().decode()
        assert "South Ltd" not in text, str(cell)
        assert "owner-of-south" not in text, str(cell)


def staff_addresses() -> dict[str, str]:
    """URL -> view of every page of Django admin and RQ, with each variable filled in; without login and logout."""
    found = {}
    for address, view, _ in pages.views():
        if address.startswith(pages.STAFF_PREFIX):
            filled = re.sub(r"<[^>]+>", "1", re.sub(r"\(\?P<\w+>[^)]*\)\?*", "1", address))
            found[re.sub(r"[\^$?]", "", filled)] = f"{view.__module__}.{view.__qualname__}"
    return {address: name for address, name in found.items() if address not in {"/admin/login/", "/admin/logout/"}}


def test_staff_pages_require_staff(
    callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids, settings: Settings
) -> None:
    """A signed-in owner and an anonymous visitor open every URL; others one URL per view: no view checks roles."""
    settings.PAGES_PER_MINUTE_PERSON = settings.PAGES_PER_MINUTE_ADDRESS = 10_000
    addresses = staff_addresses()
    one_of_each_function = {name: address for address, name in addresses.items()}.values()
    assert len(addresses) > 300
    assert len(one_of_each_function) > 40
    thorough = [callers[Role.OWNER, "session"], Caller()]
    wrong = []
    for caller in [*callers.values(), thorough[-1]]:
        for address in addresses if caller in thorough else one_of_each_function:
            with rolled_back(caller) as who:
                response = who.client.get(address, headers=who.headers)
            if not (kind_of(response) in {"login", "403", "404"} or _refuses_by_json(response)):
                wrong.append((address, response.status_code, response.get("Location")))
    assert wrong == []


def _refuses_by_json(response: HttpResponse) -> bool:
    """RQ's `stats.json` returns its error with status 200."""
    return response.content.startswith(b'{"error": true')


# Completeness


def test_every_operation_is_in_the_matrix_with_its_permission() -> None:
    in_code = [
        (address, method, action, operation.permission, operation.key_only)
        for address, method, action, operation in calls.operations()
    ]
    listed = [(cell.address, cell.method, cell.action, cell.permission, cell.key_only) for cell in calls.API_CELLS]
    assert sorted(in_code, key=str) == sorted(listed, key=str)


def test_every_page_is_in_the_matrix_with_its_permission() -> None:
    in_code = {
        (name, getattr(view, "permission", None))
        for address, view, name in pages.views()
        if not address.startswith(pages.STAFF_PREFIX) and not hasattr(view, "operations")
    }
    assert in_code == {(cell.url_name, cell.permission) for cell in pages.PAGE_CELLS}


def test_every_permission_of_an_operation_exists() -> None:
    for _, _, _, operation in calls.operations():
        assert operation.permission in PERMISSIONS
    with pytest.raises(KeyError):
        permission_required("queue:everything")


def test_documented_table_matches_the_code() -> None:
    documented = {}
    for line in DOCUMENT.read_text().splitlines():
        if match := re.match(r"\| `(\w+:\w+)` \|(.*)\|$", line):
            documented[match[1]] = [mark.strip() == "yes" for mark in match[2].split("|")]
    in_code = {name: [*(role in right.roles for role in Role), right.by_key] for name, right in PERMISSIONS.items()}
    assert "| permission | viewer | operator | finance | admin | owner | API key |" in DOCUMENT.read_text()
    assert documented == in_code
