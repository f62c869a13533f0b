"""One process sends requests while another changes their permissions; see `tests.support.race`."""

import json
from collections.abc import Iterator
from typing import Any

from tests.support.race import Racer, run_racer, signal_event, wait_for

CACHED = tuple(f'SELECT "{table}"' for table in ("tenants_apikey", "cost_app_costpolicy", "cache_app_cachepolicy"))
TRIES_MAX = 100


KEYS: dict[str, str] = {}
"""API key by change. Created before the racers start, because each process has its own pepper."""


def make_keys() -> None:
    """Create one API key for each change."""
    from django.db import connection

    from aiinfra.tenants import keys
    from aiinfra.tenants.authorization import Role
    from aiinfra.tenants.models import Organization, User

    organization, admin = Organization.objects.get(), User.objects.get(username="admin")
    for change in CHANGES:
        creator = admin if change == "deactivate" else None
        KEYS[change] = keys.create_key(
            organization=organization, name=change, role=Role.OPERATOR, created_by=creator, actor="user:owner"
        )[1]
    connection.close()


def program(_argument: str) -> Iterator[object]:
    """For each change: the statuses until all rows are cached, and the status of the first request after the change."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    for change, key in KEYS.items():

        def send(key: str = key) -> Any:
            body = {"provider": "deepseek", "model": "deepseek-chat", "messages": [{"role": "user", "content": "Hi"}]}
            headers = {"Authorization": f"Bearer {key}", "Host": "localhost"}
            return Client().post("/api/ai/queue", json.dumps(body), content_type="application/json", headers=headers)

        statuses = {send().status_code}
        for _ in range(TRIES_MAX):  # cached rows may expire in between on a slow machine
            with CaptureQueriesContext(connection) as captured:
                statuses.add(send().status_code)
            if not any(query["sql"].startswith(CACHED) for query in captured):
                break
        else:
            yield "not all rows are cached"
        signal_event(f"{change}: warm")
        wait_for(f"{change}: done")
        yield f"{change}: {statuses}, then {send().status_code}"


def staff(_argument: str) -> Iterator[object]:
    """Make each change once `program` has sent its requests."""
    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.scope import organization_scope

    organization = Organization.objects.get()
    for change, key in KEYS.items():
        wait_for(f"{change}: warm")
        with organization_scope(organization.pk):
            CHANGES[change](organization.pk, key)
        signal_event(f"{change}: done")
        yield change


def _row(text: str) -> Any:
    from aiinfra.tenants.models import ApiKey

    return ApiKey.objects.get(key_id=text.split("_")[1])


def _revoke(_organization_id: int, key: str) -> None:
    from aiinfra.tenants.keys import revoke_key

    revoke_key(key=_row(key), actor="user:owner")


def _limit(_organization_id: int, key: str) -> None:
    from aiinfra.tenants.change_key_limits import change_limits
    from aiinfra.tenants.key_limits import KeyLimits, networks_of

    change_limits(key=_row(key), limits=KeyLimits(networks=networks_of(["192.0.2.0/24"])), actor="user:owner")


def _deactivate(_organization_id: int, key: str) -> None:
    """Deactivate the key's creator, as Django admin does."""
    from django.contrib import admin
    from django.test import RequestFactory

    import aiinfra.urls  # noqa: F401 - registers the admin's pages
    from aiinfra.tenants.models import User

    person = _row(key).created_by
    person.is_active = False
    person.save()
    request = RequestFactory().post("/admin/")
    request.user = person
    admin.site.get_model_admin(User).log_change(request, person, [{"changed": {"fields": ["Active"]}}])


def _lower_budget(organization_id: int, _key: str) -> None:
    from cost_app.budgets.manage import set_budget
    from cost_app.budgets.terms import BudgetTerms

    set_budget(organization_id=organization_id, terms=BudgetTerms("daily", 1, enforcement="block"), actor="user:owner")


CHANGES = {"revoke": _revoke, "limit": _limit, "deactivate": _deactivate, "budget": _lower_budget}

RACES: dict[str, Racer] = {"program": program, "staff": staff}

if __name__ == "__main__":
    run_racer(RACES, make_keys)
