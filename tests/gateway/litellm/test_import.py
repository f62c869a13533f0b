"""`manage.py import_litellm`: what it imports, what it reports as not imported, and that it is idempotent."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.gateway.litellm.reading import BudgetPlan, KeyPlan, plan_of
from aiinfra.providers.models import FallbackRoute, ModelAlias
from aiinfra.tenants import key_authentication
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Budget
from tests.api.support import rows
from tests.providers.dialects.calls import VALUES

CONFIG = """
model_list:
  - model_name: writer
    litellm_params: {model: openai/gpt-4, api_key: os.environ/OPENAI_API_KEY}
  - model_name: deepseek-chat
    litellm_params: {model: deepseek/deepseek-chat}
  - model_name: writer
    litellm_params: {model: azure/gpt-4-eu}
  - model_name: other
    litellm_params: {model: vertex_ai/no-such-model}
litellm_settings:
  fallbacks: [{writer: [deepseek-chat]}, {other: [writer]}]
  callbacks: [langfuse]
router_settings:
  model_group_alias: {gpt-4-old: writer}
  routing_strategy: least-busy
general_settings: {master_key: sk-1234}
"""
EXPORT = {
    "teams": [{"team_id": "t1", "team_alias": "support", "max_budget": 50, "budget_duration": "30d"}],
    "keys": [
        {
            "key_alias": "bot",
            "models": ["writer"],
            "rpm_limit": 60,
            "tpm_limit": 1000,
            "max_parallel_requests": 5,
            "max_budget": 2.5,
            "budget_duration": "1d",
            "team_id": "t1",
            "metadata": {"tags": ["web"]},
        },
        {"key_alias": "free", "models": ["all-proxy-models"]},
        {"key_alias": "stopped", "blocked": True},
        {"key_alias": "forever", "max_budget": 5},
    ],
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "keys.json").write_text(json.dumps(EXPORT))
    return [str(tmp_path / "config.yaml"), str(tmp_path / "keys.json")]


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("import_litellm", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_models_fallbacks_keys_teams_and_budgets_are_imported(organization: Organization, files: list[str]) -> None:
    lines = run(*files)
    with organization_scope(organization.pk):
        assert dict(ModelAlias.objects.values_list("name", "target")) == {
            "writer": "openai/gpt-4",
            "gpt-4-old": "openai/gpt-4",
        }
        [route] = FallbackRoute.objects.all()
        bot = ApiKey.objects.get(name="bot")
        budgets = set(Budget.objects.values_list("scope", "period", "limit_nano", "enforcement"))
        assert set(ApiKey.objects.values_list("name", flat=True)) == {"bot", "free", "forever"}
    assert str(route) == "openai/gpt-4 -> deepseek/deepseek-chat"
    assert (bot.requests_per_minute, bot.tokens_per_minute, bot.concurrent_requests) == (60, 1000, 5)
    assert (bot.limits.access.models, bot.limits.access.tags, bot.scopes) == (
        ("writer",),
        ("support", "web"),
        ["chat:write"],
    )
    assert budgets == {("tag", "monthly", 50 * 10**9, "block"), ("api_key", "daily", 25 * 10**8, "block")}
    secret = next(line for line in lines if line.startswith("key bot: ")).removeprefix("key bot: ")
    assert key_authentication.authenticate(f"Bearer {secret}") is not None


def test_unsupported_settings_are_reported(organization: Organization, files: list[str]) -> None:
    refused = "\n".join(line for line in run(*files) if line.startswith("NOT IMPORTED"))
    for named in (
        "azure/gpt-4-eu",
        "vertex_ai/no-such-model",
        "fallbacks of other",
        "litellm_settings.callbacks",
        "router_settings.routing_strategy",
        "general_settings",
        "key stopped",
        "key forever: the budget of 5",
    ):
        assert named in refused
    assert "sk-1234" not in refused


def test_importing_twice_changes_nothing(organization: Organization, files: list[str]) -> None:
    run(*files)
    before = rows()
    lines = run(*files)
    unlogged = {name: count for name, count in rows().items() if name != "AuditEvent"}
    assert unlogged == {name: count for name, count in before.items() if name != "AuditEvent"}
    assert not any("aik_" in line for line in lines)


def test_import_affects_only_its_organization(
    organization: Organization, other_organization: Organization, files: list[str]
) -> None:
    with pytest.raises(CommandError, match="--organization"):
        run(*files)
    run(*files, "--organization", "south")
    with organization_scope(organization.pk):
        assert not ModelAlias.objects.exists() and not ApiKey.objects.exists() and not Budget.objects.exists()


def test_malformed_file_is_refused(organization: Organization, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(CommandError, match="cannot be read"):
        run(str(tmp_path / "config.yaml"))
    with pytest.raises(CommandError, match="cannot be read"):
        run(str(tmp_path / "missing.yaml"))


@pytest.mark.parametrize(("written", "limit"), [(60, 60), (60.0, 60), ("60", 60), (None, None)])
def test_limit_is_read_in_every_notation(written: object, limit: int | None) -> None:
    plan = plan_of({}, [{"key_alias": "bot", "rpm_limit": written}])
    assert (plan.keys, plan.notes) == ([KeyPlan("bot", requests_per_minute=limit)], [])


@pytest.mark.parametrize("written", [True, 0, -1, 1.5, "many", [], float("nan"), 10**12])
def test_unreadable_limit_is_reported(written: object) -> None:
    plan = plan_of({}, [{"key_alias": "bot", "rpm_limit": written}])
    assert plan.keys == [KeyPlan("bot")]
    assert plan.notes == [f"key bot: its rpm_limit of {written} was not imported; the new key has no such limit"]


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), "-1", True, 1e40])
def test_unreadable_budget_is_reported(amount: object) -> None:
    plan = plan_of({}, [{"key_alias": "bot", "max_budget": amount, "budget_duration": "1d"}])
    assert plan.notes == [f"key bot: the budget of {amount} per 1d has no equivalent here"]


def test_files_in_other_encodings_are_read(organization: Organization, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model_list: []", encoding="utf-16")
    (tmp_path / "keys.json").write_text('[{"key_alias": "M\u00fcnchen"}]', encoding="utf-8-sig")
    assert any(line.startswith("key M\u00fcnchen: aik_") for line in run(*map(str, sorted(tmp_path.iterdir()))))


def test_export_can_be_a_list_of_keys() -> None:
    plan = plan_of({}, [{"key_alias": "bot", "max_budget": "1", "budget_duration": "7d"}])
    assert plan.keys == [KeyPlan("bot", budget=BudgetPlan("weekly", "1"))]


@given(st.dictionaries(st.sampled_from(["model_list", "router_settings", "litellm_settings", "x"]), VALUES), VALUES)
def test_odd_files_are_read_without_an_error(config: Any, exported: Any) -> None:
    assert plan_of(config, exported) and plan_of(exported, config)
