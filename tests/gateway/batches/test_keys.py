"""Batches and the key or user that they belong to."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.api.support import BATCHES, Caller, new_key, refused
from tests.gateway.batches.support import create, finish, lines, requests_of, results
from tests.gateway.v1.files import jsonl, line, uploaded
from tests.queue_app.conftest import ScriptedProvider


def test_batch_of_a_revoked_key_sends_no_more_calls(
    program: Caller, organization: Organization, provider: ScriptedProvider
) -> None:
    made = create(program, lines(2))
    reader = Caller(key=new_key(organization, Role.OPERATOR))
    with organization_scope(organization.pk):
        keys.revoke_key(key=ApiKey.objects.order_by("pk")[0], actor="command:test")
    done = finish(reader, made["id"])
    assert done["request_counts"] == {"total": 2, "completed": 0, "failed": 2}
    assert {each["response"]["status_code"] for each in results(reader, done["error_file_id"])} == {401}
    assert provider.calls == []


def test_rotated_key_takes_over_the_batches_of_the_old_key(
    organization: Organization, provider: ScriptedProvider
) -> None:
    terms = {"organization": organization, "name": "bot", "role": Role.OPERATOR, "scopes": ["chat:write"]}
    old, text = keys.create_key(**terms, actor="command:test")  # type: ignore[arg-type]
    made = create(Caller(key=text), lines(2))
    with organization_scope(organization.pk):
        new, text = keys.rotate_key(key=old, overlap=timedelta(0), actor="command:test")
    done = finish(Caller(key=text), made["id"])
    assert done["request_counts"]["completed"] == 2
    assert {request.api_key_id for request in requests_of(organization)} == {new.pk}
    assert len(results(Caller(key=text), done["output_file_id"])) == 2


def test_key_restrictions_apply_to_every_line(organization: Organization, provider: ScriptedProvider) -> None:
    access = KeyAccess(models=("deepseek-*",), doors=("chat_completions",), tags=("team",), priority="high")
    _, text = keys.create_key(
        organization=organization,
        name="bot",
        role=Role.OPERATOR,
        limits=KeyLimits(access=access),
        actor="command:test",
    )
    caller = Caller(key=text)
    other = line("other", body={"model": "gpt-4", "messages": [{"role": "user", "content": "x"}]})
    done = finish(caller, create(caller, [line("own"), other])["id"])
    assert done["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    [request] = requests_of(organization)
    assert (request.tags, request.priority) == (["team"], 10)
    file = uploaded(caller, jsonl(line(url="/v1/responses")))["id"]
    body = {"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"}
    refused(caller.post(BATCHES, body), 403)


def test_batch_created_in_the_browser_belongs_to_the_user(
    organization: Organization, operator: User, client_of: Callable[[User], Any], provider: ScriptedProvider
) -> None:
    browser = Caller(client_of(operator))
    done = finish(browser, create(browser, lines(1))["id"])
    assert done["status"] == "completed"
    assert [each.user_ref for each in requests_of(organization)] == [operator.get_username()]
