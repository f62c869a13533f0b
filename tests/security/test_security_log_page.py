"""The page of the security log, and its exports."""

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin import site
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from aiinfra.readable_admin import LoggedAdmin
from aiinfra.tenants.models import User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from aiinfra.tenants.security_log.recorder import record
from tests.security.logged_events import write

LOG = "/installation/security-log/"


@pytest.fixture
def root(owner: User) -> User:
    """A superuser who is a member of an organization."""
    owner.is_staff = owner.is_superuser = True
    owner.save()
    return owner


def test_page_can_be_filtered_and_paged_and_records_each_view(root: User, client_of: Callable[[User], Client]) -> None:
    write(60)
    record(Event.EXPORTED, actor="key:Ab3dE6gH", organization="south", address="10.0.0.7", target="/costs/csv/")
    client = client_of(root)
    page = client.get(LOG).content.decode()
    assert "/costs/csv/" in page
    assert "user:3<" not in page
    older = re.search(r'href="\?([^"]*cursor=[^"]*)"', page)
    assert older
    assert "user:3<" in re.sub(r"\s+<", "<", client.get(f"{LOG}?{html.unescape(older[1])}").content.decode())
    for query in ("event=data.", "actor=key:", "organization=south", "address=10.0.0.7"):
        found = client.get(f"{LOG}?{query}", headers={"HX-Request": "true"}).content.decode()
        assert ("/costs/csv/" in found, "user:59" in found) == (True, False)
    today = timezone.localdate()
    assert "No matching events" in client.get(f"{LOG}?last={today - timedelta(days=2)}").content.decode()
    assert "user:59" in client.get(f"{LOG}?first={today - timedelta(days=1)}&address=nonsense").content.decode()
    assert SecurityEvent.objects.filter(event=Event.LOG_READ, actor="user:owner").count() == 7


def test_export_contains_only_events_that_match_the_filters(root: User, client_of: Callable[[User], Client]) -> None:
    write(2)
    record(Event.EXPORTED, target="other")
    response = client_of(root).get(f"{LOG}export/?event=login.")
    lines = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]  # type: ignore[arg-type]
    assert [line["actor"] for line in lines] == ["user:0", "user:1"]
    assert SecurityEvent.objects.get(event=Event.LOG_EXPORTED).actor == "user:owner"


def test_every_download_is_recorded_with_its_filters(owner: User, client_of: Callable[[User], Client]) -> None:
    assert client_of(owner).get("/costs/table.csv?by=model").status_code == 200
    row = SecurityEvent.objects.get(event=Event.EXPORTED)
    assert (row.actor, row.organization, row.target, row.details) == (
        "user:owner",
        "north",
        f"/{resolve('/costs/table.csv').route}",
        {"by": "model"},
    )


def test_every_admin_page_records_its_changes_in_the_security_log() -> None:
    ours = {model: page for model, page in site._registry.items() if "django_rq" not in type(page).__module__}
    assert [model for model, page in ours.items() if not isinstance(page, LoggedAdmin)] == []
