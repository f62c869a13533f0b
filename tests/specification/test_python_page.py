"""docs/python.md: the examples run, and the tables match the code."""

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import cache_app.facade
import cost_app.facade
import queue_app.facade
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.facade import LookupOptions, SemanticCache, StoreOptions
from cost_app.budgets.payloads import SetBudget
from cost_app.facade import CostOptimizer
from cost_app.models import Budget
from cost_app.spend.payloads import CallFacts
from queue_app.facade import AIRequestQueue, EnqueueOptions
from tests.queue_app.conftest import ScriptedProvider

TEXT = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
FACADES = (queue_app.facade, cache_app.facade, cost_app.facade)


def test_the_examples_run_from_top_to_bottom(provider: ScriptedProvider) -> None:
    organization = Organization.objects.create(slug="demo", name="Demo")
    session: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(compile(example, "docs/python.md", "exec"), session)  # noqa: S102 - our own page
    assert len(EXAMPLES) >= 6
    assert session["hit"].entry.response["content"] == "42 t"
    assert session["removed"] == 1
    with organization_scope(organization.pk):
        assert str(Budget.objects.get().pk) == session["budget_id"]


def _named_in(heading: str) -> set[str]:
    """The names in the first column of every table of a section."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_option_is_documented() -> None:
    assert _named_in("Queue") - {"enqueue", "ask"} == {*get_type_hints(EnqueueOptions)}
    assert _named_in("Cache") == {*get_type_hints(LookupOptions), *get_type_hints(StoreOptions)}
    for name in [*CallFacts.model_fields, *SetBudget.model_fields]:
        alias = (CallFacts.model_fields.get(name) or SetBudget.model_fields[name]).alias
        assert f"`{alias or name}`" in TEXT, name


CONTRACT = {
    AIRequestQueue: {"enqueue", "ask", "dequeue", "process", "give_back", "get_request_status", "get_queue_stats"},
    SemanticCache: {"get", "set", "get_stats", "clear_by_tags", "cleanup"},
    CostOptimizer: {
        "track_request",
        "get_cost_metrics",
        "set_budget",
        "get_alerts",
        "get_recommendations",
        "get_optimal_provider",
    },
}


@pytest.mark.parametrize("facade", CONTRACT)
def test_every_method_of_the_contract_exists_and_is_documented(facade: type) -> None:
    for name in CONTRACT[facade]:
        assert getattr(facade, name).__doc__, name
        assert name in TEXT, name


def test_every_exception_can_be_imported_from_a_facade() -> None:
    for name in set(re.findall(r"\b(?!ValueError|TypeError|LookupError)[A-Z]\w+Error\b", TEXT)):
        assert any(hasattr(module, name) and name in module.__all__ for module in FACADES), name
