"""`/queue/batches/`: what users see and can do."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aiinfra.batches.models import Batch
from aiinfra.tenants.audit import audit_events
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.security_log.models import SecurityEvent
from tests.api.support import FILES, Caller
from tests.gateway.batches.support import create, finish, get, lines
from tests.gateway.v1.files import line
from tests.queue_app.conftest import ScriptedProvider

Browser = Callable[[User], Client]


def batch_of(public_id: str) -> Batch:
    with system_scope():
        return Batch.objects.get(id=public_id.removeprefix(Batch.PREFIX))


def test_empty_page_explains_how_to_create_a_batch(viewer: User, client_of: Browser) -> None:
    page = client_of(viewer).get(reverse("batches")).text
    assert "No batches yet" in page and "/v1/batches" in page


def test_batch_shows_progress_cost_and_files(
    program: Caller, provider: ScriptedProvider, operator: User, client_of: Browser
) -> None:
    made = create(program, [*lines(2), line("bad", body={"model": "no-such-model", "messages": []})])
    done = finish(program, made["id"])
    client, batch = client_of(operator), batch_of(made["id"])
    page = client.get(reverse("batches")).text
    assert "3 of 3, 1 with errors" in page
    assert "completed" in page and "$0.0" in page and "bot" in page
    assert reverse("batch_cancel", args=[batch.id]) not in page
    for name, file in (("input", "input_file_id"), ("output", "output_file_id"), ("errors", "error_file_id")):
        address = reverse("batch_file", args=[batch.id, name])
        assert address in page
        response = client.get(address)
        assert response.getvalue() == program.get(f"{FILES}/{done[file]}/content").getvalue()
        assert "attachment" in response["Content-Disposition"]
    assert SecurityEvent.objects.filter(event="content.read").count() >= 3
    assert client.get(reverse("batch_file", args=[batch.id, "other"])).status_code == 404


def test_viewer_sees_no_actions_and_no_files(program: Caller, viewer: User, client_of: Browser) -> None:
    batch = batch_of(create(program, lines(1))["id"])
    page = client_of(viewer).get(reverse("batches")).text
    assert "0 of 0" in page
    for name, more in (("batch_cancel", []), ("batch_file", ["input"])):
        assert reverse(name, args=[batch.id, *more]) not in page


def test_operator_can_cancel_a_batch(
    program: Caller, operator: User, client_of: Browser, organization: Organization
) -> None:
    made = create(program, lines(1))
    address = reverse("batch_cancel", args=[batch_of(made["id"]).id])
    client = client_of(operator)
    assert "Batch cancelled." in client.post(address, follow=True).text
    assert get(program, made["id"])["status"] == "cancelling"
    assert "already ended" in client.post(address, follow=True).text
    with organization_scope(organization.pk):
        assert audit_events(verb="batch.cancelled").count() == 1


def test_table_refreshes_only_while_batches_are_unfinished(
    program: Caller, provider: ScriptedProvider, viewer: User, client_of: Browser
) -> None:
    made = create(program, lines(1))
    client = client_of(viewer)
    part = client.get(reverse("batches"), headers={"HX-Request": "true"}).text
    assert "every 2s" in part and "<html" not in part
    finish(program, made["id"])
    assert "every 2s" not in client.get(reverse("batches")).text


@pytest.mark.parametrize("number", [10])
def test_more_batches_cost_no_more_queries(program: Caller, operator: User, client_of: Browser, number: int) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(reverse("batches")).status_code == 200
        return len(found)

    client = client_of(operator)
    create(program, lines(1))
    queries()
    before = queries()
    for _ in range(number):
        create(program, lines(1))
    assert queries() == before


def test_older_batches_are_on_the_next_page(
    program: Caller, viewer: User, client_of: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiinfra.gateway.pages.batches.PAGE_SIZE", 2)
    ids = [batch_of(create(program, lines(1))["id"]).short_id for _ in range(3)]
    client = client_of(viewer)
    first = client.get(reverse("batches"))
    assert [each in first.text for each in ids] == [False, True, True]
    older = client.get(f"{reverse('batches')}?{first.context['older']}").text
    assert [each in older for each in ids] == [True, False, False]
