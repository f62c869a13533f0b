"""Every operation and page x role x {session, key} x {own organization, another one, no one}: no wrong cell."""

import json
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra import timed_cache
from aiinfra.batches.files import Owner, store_upload
from aiinfra.batches.models import Batch
from aiinfra.gateway.batches.creating import BatchTerms, create_batch
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.providers.aliases import set_alias
from aiinfra.providers.base import TokenUsage
from aiinfra.redis import bytes_client
from aiinfra.tenants import invitations
from aiinfra.tenants.access import permission_required
from aiinfra.tenants.authorization import PERMISSIONS, Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.privacy import erasures
from aiinfra.tenants.scope import organization_scope
from cache_app.metrics.figures import CHARTS as CACHE_CHARTS
from cache_app.models import CacheHit, Layer, ThresholdProposal
from cache_app.store import entries
from cache_app.store.entry import Entry
from cost_app.budgets.manage import grant_increase, set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.models import Alert, InvoiceImport, MonthClose, PriceProposal
from queue_app.models import AIRequest, Status
from queue_app.stats.figures import CHARTS
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.api import authorization_cells as table
from tests.api.support import MESSAGES, Caller, error_of
from tests.conftest import make_member
from tests.cost_app.recommendations.support import make_applied, make_recommendation

DOCUMENT = Path(__file__).parents[2] / "docs" / "authorization.md"
LOGIN = re.compile(r"/(admin/)?login/\?next=")

CREDENTIALS = ["session", "key"]
CALLERS = (
    list(product(Role, CREDENTIALS))
    if connection.vendor == "sqlite"
    else [(Role.OWNER, "session"), (Role.OWNER, "key")]
)
"""Rights do not depend on the database. On PostgreSQL, owners open everything, so that each query runs there."""
KEPT = re.compile(r"_figure$|_burn_down$|_history$|_latency$")
"""Figures, which a browser keeps and asks for again. It never keeps a page."""
NOBODY = ((Role.OWNER, "session"), "anonymous")
"""The cell without a credential, where role and credential mean nothing."""

CLOSED_MONTH = "2025-02-01"

Ids = dict[str, str]
Cell = TypeVar("Cell", table.ApiCell, table.PageCell)


def ids_of_budgets(organization: Organization) -> dict[str, int]:
    """A budget and an increase of it."""
    with organization_scope(organization.pk):
        terms = BudgetTerms(period="monthly", limit_nano=1_000_000_000)
        budget = set_budget(organization_id=organization.pk, terms=terms, actor="command:test")
        ends_at = timezone.now() + timedelta(days=1)
        increase = grant_increase(budget=budget, nano=1, reason="x", expires_at=ends_at, actor="command:test")
    return {"budget": budget.pk, "increase": increase.pk}


def make_threshold(organization: Organization) -> ThresholdProposal:
    """One that no one has decided on yet."""
    figures = dict.fromkeys(("threshold", "before", "error_target", "error_upper", "hits_kept"), 0.9)
    proposal = ThresholdProposal(organization=organization, embedder="minilm", pairs=1, wrong=0, **figures)
    with organization_scope(organization.pk):
        proposal.save()
    return proposal


TOLD = {"type": "test", "severity": "low", "title": "Test", "text": "A test.", "facts": [], "path": "", "data": {}}


def make_proposal() -> PriceProposal:
    """One for the whole installation."""
    amounts = dict.fromkeys(("input", "cache_read", "cache_write", "output"), 1)
    names = {"provider": "openai", "model": "gpt-4", "state": "waiting"}
    return PriceProposal.objects.get_or_create(**names, defaults={**amounts, "effective_from": timezone.now()})[0]


@pytest.fixture
def ids_of() -> Callable[[Organization], Ids]:
    """Makes what the addresses name in an organization."""

    def make(organization: Organization) -> Ids:
        owner = make_member(organization, Role.OWNER, f"owner-of-{organization.slug}")
        viewer = make_member(organization, Role.VIEWER, f"viewer-of-{organization.slug}")
        with organization_scope(organization.pk):
            key, _ = create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
            invitation, token = invitations.invite(
                organization=organization, email="new@example.com", role=Role.VIEWER, by=owner, actor="user:owner"
            )
            pending, failed = (accept(Submission(organization.pk, "openai", "gpt-4", MESSAGES)) for _ in range(2))
            AIRequest.objects.filter(pk=failed.pk).update(status=Status.FAILED, completed_at=timezone.now())
            invoice = InvoiceImport.objects.create(
                organization=organization, provider="openai", first_day=CLOSED_MONTH, last_day=CLOSED_MONTH
            )
            MonthClose.objects.create(
                organization=organization, first_day=CLOSED_MONTH, last_day=CLOSED_MONTH, snapshot={}
            )
            alert = Alert.objects.create(organization=organization, kind="overrun", severity="low", cause="a")
            channel = Channel.objects.create(organization=organization, kind="email", target="ops@example.com")
            delivery = Delivery.objects.create(
                organization=organization, channel=channel, message_id=f"msg-{organization.pk}", payload=TOLD
            )
            alias = set_alias(organization_id=organization.pk, name="best", target="gpt-4", actor="command:test")
            erasure = erasures.order(organization=organization, user_ref="ben", actor="command:test")
        rows = {
            "alias": alias.pk,
            "erasure": erasure.pk,
            "key": key.key_id,
            "invitation": invitation.pk,
            "membership": viewer.memberships.get().pk,
        }
        rows["erasure"] = erasure.pk
        words = {"token": token, "release": version("plotly"), "figure": next(iter(CHARTS)), "cost_chart": "spend"}
        words |= {"reset": "1 abc-def", "passkey": "1", "session": str(uuid.uuid4()), "slug": "north"}
        words |= {"price": "openai/gpt-4", "cache_chart": next(iter(CACHE_CHARTS))}
        money = {**ids_of_budgets(organization), "proposal": make_proposal().pk}
        advice = {"open_advice": make_recommendation(organization).pk, "applied_advice": make_applied(organization).pk}
        months = {"month": "2025-01-01", "closed_month": CLOSED_MONTH, "invoice": invoice.pk}
        batch = make_batch(organization)
        return {
            name: str(value)
            for name, value in {
                "batch": batch.pk,
                "batch_file": f"{batch.pk} input",
                **rows,
                **words,
                **months,
                **advice,
                **money,
                "alert": alert.pk,
                "channel": channel.pk,
                "delivery": delivery.pk,
                "pending": pending.pk,
                "failed": failed.pk,
                "entry": make_entry(organization),
                "hit": make_hit(organization).pk,
                "threshold": make_threshold(organization).pk,
            }.items()
        }

    return make


def make_batch(organization: Organization) -> Batch:
    """A batch that has not begun, with its file."""
    owner = Owner(organization.pk)
    call = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}
    with organization_scope(organization.pk):
        file = store_upload(owner, "calls.jsonl", json.dumps(call).encode())
        return create_batch(owner, file, BatchTerms("/v1/chat/completions", 24, {}, {}), None)


def make_entry(organization: Organization) -> str:
    """The id of a cached answer."""
    entry = Entry(
        id=f"{organization.pk:032x}",
        organization_id=organization.pk,
        partition="0" * 32,
        question="What is a queue?",
        response={"role": "assistant", "content": "A line.", "finishReason": "stop"},
        usage=TokenUsage(),
        provider="deepseek",
        model="deepseek-chat",
        created_ms=round(time.time() * 1000),
        expires_ms=round(time.time() * 1000) + 3_600_000,
    )
    entries.put(entry, vector=None)
    return entry.id


def make_hit(organization: Organization) -> CacheHit:
    """An answer that the cache gave."""
    with organization_scope(organization.pk):
        return CacheHit.objects.create(
            id=uuid4(),
            organization=organization,
            layer=Layer.SEMANTIC,
            entry_id="1" * 32,
            partition="0" * 32,
            embedder="minilm",
            provider="deepseek",
            model="deepseek-chat",
            similarity=0.93,
            rule="clear",
        )


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
    """A program and a browser of every role."""
    return {
        (role, credential): key_of(role) if credential == "key" else Caller(client_of(member_of(role)))
        for role, credential in CALLERS
    }


@contextmanager
def undone(caller: Caller) -> Iterator[Caller]:
    """The caller for one call that leaves neither rows nor cookies behind."""
    cookies = {name: morsel.value for name, morsel in caller.client.cookies.items()}
    with transaction.atomic():
        yield caller
        transaction.set_rollback(True)
    caller.client.cookies.clear()
    caller.client.cookies.load(cookies)


@contextmanager
def redis_undone() -> Iterator[None]:
    """Leaves no change in Redis, and none in what this process remembers of it."""
    client = bytes_client()
    kept = [(key, client.pttl(key), client.dump(key)) for key in client.scan_iter()]
    yield
    client.flushdb()
    for key, ttl_ms, value in kept:
        client.restore(key, max(ttl_ms, 0), value)
    timed_cache.clear_all()


def together(cells: Iterable[Cell]) -> dict[str, Any]:
    """One test for all cells of an area, because its callers cost more than its calls."""
    areas: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        areas[cell.permission.partition(":")[0]].append(cell)
    return {"argvalues": list(areas.values()), "ids": list(areas)}


def kind_of(response: HttpResponse) -> str:
    """open, login, or the status."""
    if response.status_code == 302 and LOGIN.match(response["Location"]):
        return "login"
    return "open" if response.status_code in {200, 201, 202, 204, 302, 422} else str(response.status_code)


def call_api(cell: table.ApiCell, caller: Caller, place: str, own: Ids, foreign: Ids) -> str:
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
    cell: table.ApiCell, callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> Iterator[tuple[str, ...]]:
    places = ["own", "named", *(["foreign"] if cell.names else [])]
    with redis_undone():
        for (role, credential), place in [*product(CALLERS, places), NOBODY]:
            expected = table.expected_of_api(cell, role, credential, place)
            with undone(callers[role, credential] if place != "anonymous" else Caller()) as who:
                found = call_api(cell, who, place, own, foreign)
            if found != expected:
                yield str(cell), role.value, credential, place, f"expected {expected}, found {found}"


@pytest.mark.parametrize("cells", **together(table.API_CELLS))
def test_every_operation_matches_its_cell(
    cells: list[table.ApiCell], callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> None:
    assert [wrong for cell in cells for wrong in wrong_api_cells(cell, callers, own, foreign)] == []


def call_page(cell: table.PageCell, caller: Caller, place: str, own: Ids, foreign: Ids) -> str:
    ids = foreign if place == "foreign" else own
    if cell.names == "entry":  # it is in Redis, where nothing is undone
        for organization in Organization.objects.all():
            make_entry(organization)
    url = reverse(cell.url_name, args=ids[cell.names].split() if cell.names else [])
    data = {"organization": "south" if place == "foreign" else "north"} if cell.method == "post" else {}
    response = getattr(caller.client, cell.method)(url, data, headers=caller.headers)
    kind, text = kind_of(response), response.getvalue()  # read to its end, which closes the file that it may come from
    assert kind != "403" or b"t have access" in text
    if kind == "open" and cell.method == "get" and cell.permission != table.PUBLIC and not KEPT.search(cell.url_name):
        assert "no-store" in response["Cache-Control"], str(cell)
    assert kind != "login" or response["Location"] == f"{reverse('login')}?next={url}"
    return kind


def wrong_page_cells(
    cell: table.PageCell, callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> Iterator[tuple[str, ...]]:
    names_theirs = cell.names in table.OF_AN_ORGANIZATION or cell.url_name == "switch_organization"
    places = ["own", *(["foreign"] if names_theirs else [])]
    with redis_undone():
        for (role, credential), place in [*product(CALLERS, places), NOBODY]:
            expected = table.expected_of_page(cell, role, credential, place)
            with undone(callers[role, credential] if place != "anonymous" else Caller()) as who:
                found = call_page(cell, who, place, own, foreign)
            if found != expected:
                yield str(cell), role.value, credential, place, f"expected {expected}, found {found}"


@pytest.mark.parametrize("cells", **together(table.PAGE_CELLS))
def test_every_page_matches_its_cell(
    cells: list[table.PageCell], callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids
) -> None:
    assert [wrong for cell in cells for wrong in wrong_page_cells(cell, callers, own, foreign)] == []


def test_a_session_cannot_switch_to_a_foreign_organization(
    callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids, other_organization: Organization
) -> None:
    for cell in table.PAGE_CELLS:
        if cell.method != "get" or cell.permission == table.PUBLIC or cell.names:
            continue
        with undone(callers[Role.OWNER, "session"]) as who:
            session = who.client.session
            session["organization_id"] = other_organization.pk
            session.save()
            response = who.client.get(reverse(cell.url_name), follow=True)
        text = response.getvalue().decode()
        assert "South Ltd" not in text, str(cell)
        assert "owner-of-south" not in text, str(cell)


def staff_addresses() -> list[str]:
    """The addresses of Django admin and of RQ's pages, with something in the place of each variable.

    Without those of logging in and out, which everyone may.
    """
    found = {re.sub(r"<[^>]+>", "1", re.sub(r"\(\?P<\w+>[^)]*\)\?*", "1", address)) for address, _, _ in table.views()}
    plain = {re.sub(r"[\^$?]", "", address) for address in found if address.startswith(table.STAFF_PREFIX)}
    return sorted(plain - {"/admin/login/", "/admin/logout/"})


def test_staff_pages_are_for_staff(
    callers: dict[tuple[Role, str], Caller], own: Ids, foreign: Ids, settings: Settings
) -> None:
    settings.PAGES_PER_MINUTE_PERSON = settings.PAGES_PER_MINUTE_ADDRESS = 10_000
    addresses = staff_addresses()
    assert len(addresses) > 50
    wrong = []
    for caller in [*callers.values(), Caller()]:
        for address in addresses:
            with undone(caller) as who:
                response = who.client.get(address, headers=who.headers)
            if not (kind_of(response) in {"login", "403", "404"} or _refuses_by_json(response)):
                wrong.append((address, response.status_code, response.get("Location")))
    assert wrong == []


def _refuses_by_json(response: HttpResponse) -> bool:
    """RQ's `stats.json` says so with status 200."""
    return response.content.startswith(b'{"error": true')


# Nothing is left out, and nothing changes unseen


def test_every_operation_is_in_the_matrix_with_its_permission() -> None:
    in_code = [
        (address, method, action, operation.permission, operation.key_only)
        for address, method, action, operation in table.operations()
    ]
    listed = [(cell.address, cell.method, cell.action, cell.permission, cell.key_only) for cell in table.API_CELLS]
    assert sorted(in_code, key=str) == sorted(listed, key=str)


def test_every_page_is_in_the_matrix_with_its_permission() -> None:
    in_code = {
        (name, getattr(view, "permission", None))
        for address, view, name in table.views()
        if not address.startswith(table.STAFF_PREFIX) and not hasattr(view, "operations")
    }
    assert in_code == {(cell.url_name, cell.permission) for cell in table.PAGE_CELLS}


def test_every_permission_is_in_the_table() -> None:
    for _, _, _, operation in table.operations():
        assert operation.permission in PERMISSIONS
    with pytest.raises(KeyError):
        permission_required("queue:everything")


def test_the_documented_table_is_the_one_in_the_code() -> None:
    documented = {}
    for line in DOCUMENT.read_text().splitlines():
        if match := re.match(r"\| `(\w+:\w+)` \|(.*)\|$", line):
            documented[match[1]] = [mark.strip() == "yes" for mark in match[2].split("|")]
    in_code = {name: [*(role in right.roles for role in Role), right.by_key] for name, right in PERMISSIONS.items()}
    assert "| permission | viewer | operator | finance | admin | owner | API key |" in DOCUMENT.read_text()
    assert documented == in_code
