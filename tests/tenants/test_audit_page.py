import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.views.audit import PAGE_SIZE

Browser = Callable[[User], Client]


def write(organization: Organization, target: str, verb: str = "member.added") -> None:
    audit.record(organization_id=organization.pk, actor="user:owner", verb=verb, target=target)


def test_empty_page_says_so(finance: User, client_of: Browser) -> None:
    client = client_of(finance)
    assert "No events yet" in client.get(reverse("audit")).text
    assert "No matching events" in client.get(reverse("audit"), {"text": "x"}).text


def test_page_shows_only_events_of_the_organization(
    organization: Organization, other_organization: Organization, finance: User, client_of: Browser
) -> None:
    write(organization, "our-target")
    write(other_organization, "their-target")
    page = client_of(finance).get(reverse("audit")).text
    assert "our-target" in page
    assert "their-target" not in page


def test_events_are_filtered(organization: Organization, finance: User, client_of: Browser) -> None:
    write(organization, "target-one")
    write(organization, "target-two", verb="api_key.created")
    page = client_of(finance).get(reverse("audit"), {"verb": "api_key."}).text
    assert "target-two" in page
    assert "target-one" not in page


def test_older_events_are_on_the_next_page(organization: Organization, finance: User, client_of: Browser) -> None:
    client = client_of(finance)
    for number in range(PAGE_SIZE + 3):
        write(organization, f"target-{number}.")
    first = client.get(reverse("audit")).text
    link = re.search(r'href="(\?[^"]*cursor=[^"]+)"', first)
    assert link is not None
    second = client.get(reverse("audit") + link[1].replace("&amp;", "&")).text
    targets = [set(re.findall(r"target-\d+\.", page)) for page in (first, second)]
    assert [len(found) for found in targets] == [PAGE_SIZE, 3]
    assert not targets[0] & targets[1]


def test_htmx_request_gets_only_the_rows(organization: Organization, finance: User, client_of: Browser) -> None:
    write(organization, "our-target")
    part = client_of(finance).get(reverse("audit"), headers={"HX-Request": "true"}).text
    assert "our-target" in part
    assert "<html" not in part


@pytest.mark.parametrize(
    "cursor", ["", "~", "2026-01-01T00:00:00~3f2b8c10-0000-0000-0000-000000000000", "\0~\0", "9" * 999]
)
def test_invalid_cursor_shows_the_first_page(
    organization: Organization, finance: User, client_of: Browser, cursor: str
) -> None:
    write(organization, "our-target")
    assert "our-target" in client_of(finance).get(reverse("audit"), {"cursor": cursor}).text


def test_query_count_does_not_grow_with_events(organization: Organization, finance: User, client_of: Browser) -> None:
    client = client_of(finance)
    write(organization, "one")
    with CaptureQueriesContext(connection) as few:
        client.get(reverse("audit"))
    for number in range(10):
        write(organization, str(number))
    with CaptureQueriesContext(connection) as many:
        client.get(reverse("audit"))
    assert len(many) == len(few)
