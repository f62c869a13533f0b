from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from queue_app.models import AIRequest

Browser = Callable[[User], Client]
NOTE = "Archived, and not in this list or its CSV"


@pytest.fixture
def archived(october: list[AIRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AIRequest:
    """A request whose month is archived. The clock is real again, because sessions depend on it."""
    call_command("archive", str(tmp_path))
    monkeypatch.undo()
    return october[0]


def test_list_names_archived_months(archived: AIRequest, viewer: User, client_of: Browser) -> None:
    client = client_of(viewer)
    page = client.get("/queue/requests/").text
    assert NOTE in page
    assert "October 2026 (7 requests, archived on" in page
    assert NOTE in client.get("/queue/requests/", {"until": "2026-10-09T00:00"}).text
    assert NOTE not in client.get("/queue/requests/", {"since": "2026-11-09T00:00"}).text


def test_list_hides_other_organizations_archives(archived: AIRequest, stranger: User, client_of: Browser) -> None:
    assert NOTE not in client_of(stranger).get("/queue/requests/").text


def test_page_of_archived_request_returns_404_with_the_archive_date(
    archived: AIRequest, viewer: User, client_of: Browser
) -> None:
    answer = client_of(viewer).get(f"/queue/requests/{archived.id}/")
    assert answer.status_code == 404
    assert "The requests of October 2026 were archived on" in answer.text
    missing = client_of(viewer).get(f"/queue/requests/{uuid4()}/")
    assert (missing.status_code, "archived" in missing.text) == (404, False)


def test_archived_request_is_hidden_from_other_organizations(
    archived: AIRequest, stranger: User, client_of: Browser
) -> None:
    answer = client_of(stranger).get(f"/queue/requests/{archived.id}/")
    assert (answer.status_code, "archived" in answer.text) == (404, False)


def test_api_returns_404_with_the_archive_date(
    archived: AIRequest, organization: Organization, other_organization: Organization, client: Client
) -> None:
    query = {"action": "status", "requestId": str(archived.id)}
    key, foreign = (
        create_key(organization=each, name="k", role=Role.VIEWER, actor="command:test")[1]
        for each in (organization, other_organization)
    )
    answer = client.get("/api/ai/queue", query, headers={"Authorization": f"Bearer {key}"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (404, "not_found")
    assert error["message"].startswith("The requests of October 2026 were archived on ")
    hidden = client.get("/api/ai/queue", query, headers={"Authorization": f"Bearer {foreign}"})
    assert (hidden.status_code, hidden.json()["error"]["message"]) == (404, "Not found.")
