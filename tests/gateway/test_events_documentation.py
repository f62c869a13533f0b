"""The live events in docs/api.md: the examples match the models, and the tables are complete."""

import re

from aiinfra.live_events import HISTORY_MAX, PERMISSIONS
from cost_app.alerts.events import AlertEvent
from cost_app.budgets.events import BudgetEvent
from queue_app.events import RequestEvent
from queue_app.stats.events import QueueEvent
from tests.gateway.sse import Events
from tests.support.processes import ROOT

SECTION = (ROOT / "docs" / "api.md").read_text().split("\n## `/api/ai/events`")[1].split("\n## ")[0]
MODELS = {"request": RequestEvent, "queue": QueueEvent, "budget": BudgetEvent, "alert": AlertEvent}


def test_example_events_match_the_models() -> None:
    example = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)[0]
    events = Events([f"{example}\n".encode()]).rest()
    assert [event.name for event in events] == list(MODELS)
    for event in events:
        model = MODELS[event.name]
        model.model_validate(event.data, by_alias=True, by_name=False)
        assert set(event.data) == {field.alias or name for name, field in model.model_fields.items()}


def test_table_of_types_has_their_permissions() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| `(\w+:\w+)` \|", SECTION, re.MULTILINE))
    assert documented == {kind.value: permission for kind, permission in PERMISSIONS.items()}


def test_size_of_the_history_is_documented() -> None:
    assert f"The last {HISTORY_MAX:,} events" in SECTION
