"""docs/api.md: its examples work, and its tables match the code."""

import json
import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from aiinfra.gateway import chat
from aiinfra.gateway.chat import ChatAnswered
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.openapi import BODY_ERRORS, ERRORS, ErrorOut, document
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy import erasures
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Alert
from queue_app.payloads import Accepted
from queue_app.quoting import DryRunOut
from tests.api.authorization_operations import operations
from tests.api.support import COST, QUEUE, Caller, enqueue_body, new_key
from tests.cost_app.recommendations.support import make_recommendation

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text()
ROW = re.compile(r"^\| (GET|POST|DELETE) \| (?:`([\w-]+)`)? ?\| `([\w:]+)`", re.MULTILINE)
SOURCES_OF_ERRORS = [
    path for package in ("aiinfra", "queue_app", "cache_app", "cost_app") for path in (ROOT / package).rglob("*.py")
]
COMMANDS = [block for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) if block.startswith("curl")]
ANSWERS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]


def made_once(key_of: Callable[..., Caller], organization: Organization) -> dict[str, Callable[[], str]]:
    """Variable of the examples -> creates the row that it names, once."""
    owner = cache(lambda: key_of(Role.OWNER))

    def post(address: str, body: dict[str, Any], caller: Caller | None = None) -> Any:
        return json.loads((caller or owner()).post(address, body).content)

    @cache
    def request_id() -> str:
        owner().headers["Idempotency-Key"] = "first"
        return str(post(QUEUE, enqueue_body())["requestId"])

    @cache
    def budget_id() -> str:
        return str(post(COST, {"action": "set-budget", "period": "weekly", "limit": "5.00"})["id"])

    @cache
    def increase_id() -> str:
        ends = {"amount": 1, "reason": "x", "expiresAt": "2099-01-01T00:00:00Z"}
        raised = post(COST, {"action": "increase-budget", "budgetId": budget_id(), **ends}, key_of(Role.OWNER))
        return str(raised["increases"][0]["id"])

    @cache
    def alert_id() -> str:
        with organization_scope(organization.pk):
            return str(Alert.objects.create(organization=organization, kind="overrun", severity="low", cause="a").pk)

    return {
        "$URL": lambda: "",
        "$KEY": lambda: owner().headers["Authorization"].removeprefix("Bearer "),
        "$ID": request_id,
        "$BUDGET": budget_id,
        "$INCREASE": increase_id,
        "$RECOMMENDATION": cache(lambda: str(make_recommendation(organization).pk)),
        "$ALERT": alert_id,
        "$OTHER_KEY": cache(lambda: new_key(organization, Role.VIEWER).split("_")[1]),
        "$ERASURE": cache(
            lambda: str(erasures.order(organization=organization, user_ref="ben", actor="command:test").pk)
        ),
    }


@pytest.fixture
def run(
    key_of: Callable[..., Caller], organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], int]:
    """Run a curl command with an owner's key and rows for its variables; returns the status."""
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(0))
    ids = made_once(key_of, organization)

    def send(command: str) -> int:
        line = command
        for name, make in ids.items():
            if name in line:
                line = line.replace(name, make())
        words = shlex.split(line.replace("\\\n", " "))
        assert words[:2] == ["curl", "-s"]
        headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
        data = next((words[at + 1] for at, word in enumerate(words) if word == "-d"), None)
        caller, address = Caller(), urlsplit(words[2])
        caller.headers = headers
        if data is None:
            return caller.get(address.path, **dict(parse_qsl(address.query))).status_code
        content_type = headers.pop("Content-Type")
        return caller.post(address.path, data.encode(), content_type=content_type).status_code

    return send


OTHER_STATUSES = {
    "dry-run": 200,
    '"lookup"': 200,
    '"store"': 201,
    '"pin"': 404,
    '"report"': 404,
    '"messages"': 202,
    '"erase"': 202,
}
"""Expected statuses by a word in the example. The entries that two examples name do not exist."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.split())[-60:])
def test_every_example_works(run: Callable[[str], int], command: str) -> None:
    if '"retry"' in command:
        assert run(command) == 409
        run(command.replace('"retry"', '"cancel"'))
    if '"undo-recommendation"' in command:
        assert run(command) == 409
        run(command.replace('"undo-', '"apply-'))
    expected = next((status for word, status in OTHER_STATUSES.items() if word in command), 200)
    assert run(command) == expected


def test_every_action_has_an_example() -> None:
    assert len(COMMANDS) >= 11
    for _, method, action, _ in operations():
        assert action is None or method == "GET" or any(f'"{action}"' in command for command in COMMANDS)


def test_responses_match_the_documented_shape() -> None:
    for model, answer in zip([Accepted, ErrorOut, DryRunOut, ChatAnswered], ANSWERS, strict=True):
        model.model_validate(answer, by_alias=True, by_name=False)
        assert set(answer) == {field.alias or name for name, field in model.model_fields.items()} or model is ErrorOut


def test_documented_operations_match_the_code() -> None:
    documented = set()
    for section in TEXT.split("\n## ")[1:]:
        address = section.split("`")[1] if section.startswith("`") else ""
        for method, action, permission in re.findall(
            r"^\| (GET|POST|DELETE) \| (?:`([\w-]+)`)? ?\| `([\w:]+)`", section, re.MULTILINE
        ):
            documented.add((address, method, action or None, permission))
    in_code = {(address, method, action, operation.permission) for address, method, action, operation in operations()}
    assert documented == in_code


def documented_errors() -> set[tuple[str, str]]:
    """The (status, type) of every row of the table."""
    return {
        (status, kind)
        for status, kinds in re.findall(r"^\| (\d{3}) \| (.*?) \|", TEXT, re.MULTILINE)
        for kind in re.findall(r"`(\w+)`", kinds)
    }


def test_every_error_type_is_documented() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCES_OF_ERRORS)
    raised = set(re.findall(r'ApiError\(\s*(\d{3}),\s*"(\w+)"', code))
    assert len(raised) > 10
    assert raised == documented_errors()


def test_schema_has_the_documented_statuses() -> None:
    assert {str(status) for status in ERRORS | BODY_ERRORS} == {status for status, _ in documented_errors()}


@pytest.mark.parametrize(
    ("address", "answers"),
    [("/api/ai/queue", {"Accepted", "DryRunOut"}), ("/api/ai/chat", {"ChatAnswered", "ChatQueued", "DryRunOut"})],
)
def test_schema_describes_dry_run_responses(address: str, answers: set[str]) -> None:
    responses = document()["paths"][address]["post"]["responses"]
    named = re.findall(r"schemas/(\w+)", json.dumps([responses[status] for status in ("200", "202")]))
    assert set(named) >= answers
