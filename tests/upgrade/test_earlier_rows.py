"""Rows of an earlier version keep working after the migrations, on both databases.

Migrating back and forth takes many seconds of CPU time, so one test covers all kinds of rows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState, StateApps
from django.db.models import Field
from django.test import Client
from django.utils import timezone

from aiinfra.notifications.models import Channel
from aiinfra.tenants import key_authentication, keys, peppers
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sessions import SessionStore, session_id
from cost_app.models import ModelPrice

BEFORE = [
    ("cost_app", "0006_export_deliveries"),  # prices of long prompts had their own columns
    ("notifications", "0002_channels_of_the_installation"),  # addresses and secrets were stored in plain text
    (
        "tenants",
        "0008_demo_people_without_known_password",
    ),  # keys had no pepper ID, and sessions were stored by their key
]
original_clone = Field.clone
TARGET, SECRET = "https://hooks.example.com/in", "whsec_c2VjcmV0"


def unrendered(change: Callable[..., ProjectState]) -> Callable[..., ProjectState]:
    """Drop the rendered models of a state before it is changed.

    Rendering all models once per migration takes a quarter of the time that Django needs to keep them up to date.
    """

    def changed(migration: Migration, state: ProjectState, preserve: bool = True) -> ProjectState:
        copy = state.clone() if preserve else state
        copy.__dict__.pop("apps", None)
        return change(migration, copy, preserve=False)

    return changed


def copied(field: "Field[Any, Any]") -> "Field[Any, Any]":
    """A copy of a field for another rendered model; Django takes it apart and constructs it again."""
    if field.is_relation:
        return original_clone(field)
    copied = copy(field)
    copied.creation_counter = Field.creation_counter  # fields are sorted by it
    Field.creation_counter += 1
    return copied


@contextmanager
def earlier_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[StateApps]:
    """The earlier schema and its models. At the end, migrates to the current schema."""
    monkeypatch.setattr(Migration, "mutate_state", unrendered(Migration.mutate_state))
    monkeypatch.setattr(Field, "clone", copied)
    try:
        MigrationExecutor(connection).migrate(BEFORE)
        apps = MigrationExecutor(connection).loader.project_state(BEFORE).apps
        assert isinstance(apps, StateApps)
        yield apps
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())


def stored_channel() -> tuple[str, str]:
    """The address and secret as stored in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT target, secret FROM notifications_channel")
        [row] = cursor.fetchall()
    return row


def store_session(browser: Client, key: str) -> None:
    """Store the browser's session the way Django does."""
    old = SessionStore(key).create_model_instance({})
    old.session_key, old.session_data = key, browser.session.encode({"theme": "dark"})
    old.save()


def store_price(apps: StateApps) -> int:
    """Add a price with one step at 5 tokens; returns its primary key."""
    long = {"long_input": 2, "long_cache_read": 3, "long_cache_write": 4, "long_output": 6}
    short = dict.fromkeys(("input", "cache_read", "cache_write", "output"), 1)
    prices = apps.get_model("cost_app", "ModelPrice").objects
    return int(prices.create(provider="local", model="m", source="t", long_context_from=5, **short, **long).pk)


def check_price(pk: int) -> None:
    """Check that the columns became a step and that the amounts cannot be changed."""
    rows = ModelPrice.objects.filter(pk=pk)
    step = {"above": 5, "input": 2, "cache_read": 3, "cache_write": 4, "output": 6, "cache_write_1h": None}
    assert rows.get().long_prompts == [step]
    for change in ({"input": 9}, {"long_prompts": []}, {"cache_write_1h": 1}):
        with pytest.raises(DatabaseError):
            rows.update(**change)
    assert rows.update(effective_to=timezone.now()) == 1


@pytest.mark.django_db(transaction=True)
def test_rows_of_an_earlier_version_keep_working(
    organization: Organization, owner: User, client_of: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = client_of(owner)
    session_key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    _, secret = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    with organization_scope(organization.pk):
        channel = Channel.objects.create(organization=organization, kind="webhook", target=TARGET, secret=SECRET)

    with earlier_version(monkeypatch) as apps:
        assert stored_channel() == (TARGET, SECRET)
        store_session(browser, session_key)
        price = store_price(apps)

    assert peppers.count_by_pepper() == peppers.PepperCounts(1, 0, 0)
    assert key_authentication.authenticate(f"Bearer {secret}") is not None
    assert SessionStore(session_key)["theme"] == "dark"
    assert Session.objects.get().session_key == session_id(session_key)
    assert TARGET not in stored_channel()
    assert SECRET not in stored_channel()
    with organization_scope(organization.pk):
        channel = Channel.objects.get()
    assert (channel.target, channel.secret) == (TARGET, SECRET)
    check_price(price)
