"""Batches of rate-limited keys: each line counts as a request, and waits when the limit is reached."""

from datetime import timedelta
from typing import Any

import pytest

from aiinfra.rate_limits import Slots, leave, take
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.change_key_limits import change_limits
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app import create_cost_optimizer
from cost_app.models import LedgerEntry
from queue_app.models import AIRequest, Status
from tests.api.support import Caller, new_key
from tests.gateway.batches.support import create, finish, lines, step, work
from tests.gateway.v1.files import line
from tests.providers.conftest import SandboxClient
from tests.queue_app.conftest import ScriptedProvider
from tests.support.buckets import no_refill  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("no_refill")

UPLOADED_AND_CREATED = 2
"""The number of requests needed to create a batch."""


def limited_key(organization: Organization, limits: KeyLimits) -> tuple[ApiKey, Caller]:
    key, text = keys.create_key(
        organization=organization, name="bot", role=Role.OPERATOR, limits=limits, actor="command:test"
    )
    return key, Caller(key=text)


def lines_per_minute(number: int) -> KeyLimits:
    return KeyLimits(requests_per_minute=UPLOADED_AND_CREATED + number)


def test_lines_count_toward_the_rate_limit(organization: Organization, provider: ScriptedProvider) -> None:
    other = Caller(key=new_key(organization, Role.ADMIN))
    key, caller = limited_key(organization, lines_per_minute(3))
    made = create(caller, lines(5))
    step()
    step()
    with organization_scope(organization.pk):
        assert AIRequest.objects.count() == 3
        change_limits(key=key, limits=KeyLimits(), actor="command:test")
    assert finish(other, made["id"])["request_counts"] == {"total": 5, "completed": 5, "failed": 0}


def test_queued_lines_of_a_key_are_limited_to_its_concurrent_requests(
    organization: Organization, provider: ScriptedProvider
) -> None:
    _, caller = limited_key(organization, KeyLimits(concurrent_requests=2))
    made = create(caller, lines(5))
    for done in (0, 2, 4):
        step()
        step()
        with organization_scope(organization.pk):
            assert AIRequest.objects.filter(status=Status.PENDING).count() == min(2, 5 - done)
        work()
    assert finish(caller, made["id"])["request_counts"] == {"total": 5, "completed": 5, "failed": 0}


def test_batches_of_a_key_share_its_concurrent_requests(organization: Organization, provider: ScriptedProvider) -> None:
    key, caller = limited_key(organization, KeyLimits(concurrent_requests=3))
    made = [create(caller, lines(2)) for _ in range(2)]
    with organization_scope(organization.pk):
        _, text = keys.rotate_key(key=key, overlap=timedelta(0), actor="command:test")
    made.append(create(Caller(key=text), lines(2)))
    for _ in range(6):
        step()
    with organization_scope(organization.pk):
        assert AIRequest.objects.filter(status=Status.PENDING).count() == 3
    for each in made:
        assert finish(Caller(key=text), each["id"])["request_counts"] == {"total": 2, "completed": 2, "failed": 0}


@pytest.mark.django_db(transaction=True)
def test_embedding_line_counts_toward_its_keys_concurrent_requests(
    organization: Organization, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line waits while the key makes another call, and other calls are refused while the line runs."""
    key, caller = limited_key(organization, KeyLimits(concurrent_requests=1))
    body = {"model": "text-embedding-3-small", "input": "x"}
    made = create(caller, [line("a", url="/v1/embeddings", body=body)], "/v1/embeddings")
    own = [Slots(f"key:{key.pk}:in_progress", 1)]
    assert take([], own, "a call of its own").refused is None
    for _ in range(3):
        step()
    with organization_scope(organization.pk):
        assert not LedgerEntry.objects.exists()
    leave(own, "a call of its own")
    cost, during = type(create_cost_optimizer()), []
    settle = cost.settle

    def settle_while_calling(*arguments: Any) -> None:
        during.append(caller.get("/v1/models").status_code)
        settle(*arguments)

    monkeypatch.setattr(cost, "settle", staticmethod(settle_while_calling))
    assert finish(caller, made["id"])["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    assert during == [429]
    assert caller.get("/v1/models").status_code == 200


def test_embedding_lines_count_toward_the_rate_limit(organization: Organization, sandbox: SandboxClient) -> None:
    other = Caller(key=new_key(organization, Role.ADMIN))
    key, caller = limited_key(organization, lines_per_minute(1))
    body = {"model": "text-embedding-3-small", "input": "x"}
    calls = [line(name, url="/v1/embeddings", body=body) for name in ("a", "b")]
    made = create(caller, calls, "/v1/embeddings")
    for _ in range(3):
        step()
    with organization_scope(organization.pk):
        assert LedgerEntry.objects.count() == 1
        change_limits(key=key, limits=KeyLimits(), actor="command:test")
    assert finish(other, made["id"])["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
