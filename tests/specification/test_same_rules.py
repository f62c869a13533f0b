"""HTTP and Python refuse the same values: one table of invalid values, sent through both interfaces."""

from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest

from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.tenants.authorization import Role
from cache_app.facade import LookupOptions, SemanticCache, StoreOptions
from cache_app.payloads import LookupIn, StoreIn
from cost_app.alerts.payloads import AlertsQuery
from cost_app.facade import CostOptimizer
from cost_app.python_payloads import TrackArguments
from cost_app.recommendations.payloads import ChoiceQuery, RecommendationsQuery
from cost_app.spend.payloads import CallFacts, MetricsQuery, TrackRequest
from queue_app.facade import AIRequestQueue, EnqueueOptions, InvalidValueError, UnknownOptionError
from queue_app.payloads import EnqueueRequest
from tests.api.support import MESSAGES, Caller, error_of, rows
from tests.api.test_bad_bodies import label
from tests.specification.doors import DOORS, HALF, NAN, NUL, Door

MODEL = ("deepseek", "deepseek-chat")


@pytest.fixture
def owner(key_of: Callable[..., Caller]) -> Caller:
    return key_of(Role.OWNER)


@pytest.fixture(autouse=True)
def _nothing_stored(owner: Caller) -> Iterator[None]:
    before = rows()
    yield
    assert rows() == before


@pytest.mark.parametrize("name", DOORS)
def test_http_and_python_refuse_the_same_values_and_name_the_same_field(name: str, owner: Caller) -> None:
    door, wrong = DOORS[name], []
    for changed, value, param in door.cases:
        body = {**door.body, changed: value}
        over_http, in_python = _refused_over_http(owner, door, body), _refused_in_python(door, body)
        if (over_http, in_python) != (param, door.python_field(param)):
            wrong.append((changed, label(value), over_http, in_python))
    assert wrong == []


def _refused_over_http(caller: Caller, door: Door, body: dict[str, Any]) -> object:
    response = caller.post(door.address, body)
    return error_of(response)["param"] if response.status_code == 400 else response.status_code


def _refused_in_python(door: Door, body: dict[str, Any]) -> object:
    try:
        return door.call(body)
    except InvalidValueError as refusal:
        return refusal.field


QUERIES: list[tuple[Callable[[CostOptimizer, Any], object], str, list[Any]]] = [
    (
        lambda cost, value: cost.get_cost_metrics("north", value, 1),
        "period",
        [None, "", "yearly", "Daily", 5, True, [], NUL],
    ),
    (
        lambda cost, value: cost.get_cost_metrics("north", "daily", value),
        "limit",
        [None, 0, -1, 1001, 10**9, 2**63, 1.5, "5", True, [], NAN],
    ),
    (
        lambda cost, value: cost.get_cost_metrics("north", "daily", 1, by=value),
        "by",
        ["", "color", "APIKEY", 5, True, [], {}, NUL, HALF],
    ),
    (lambda cost, value: cost.get_alerts("north", value), "acknowledged", ["false", "", 0, 1, [], {}]),
    (lambda cost, value: cost.get_recommendations("north", value), "status", [None, "", "Open", "all", 5, [], NUL]),
    (
        lambda cost, value: cost.get_optimal_provider("north", value),
        "request_type",
        [None, "", "odd", "Simple", 5, [], NUL],
    ),
    (
        lambda cost, value: cost.get_optimal_provider("north", "simple", value),
        "priority",
        [None, "", "urgent", 100, True, [], NUL],
    ),
]


@pytest.mark.parametrize(("call", "named", "values"), QUERIES, ids=[each[1] for each in QUERIES])
def test_an_invalid_query_argument_is_named(
    cost: CostOptimizer, call: Callable[[CostOptimizer, Any], object], named: str, values: list[Any]
) -> None:
    for value in values:
        with pytest.raises(InvalidValueError) as refusal:
            call(cost, value)
        assert refusal.value.field == named, label(value)


class Odd:
    """Not JSON serializable."""


NOT_JSON = [b"bytes", {1, 2}, Odd(), object, 1j, range(3), {1: 2}, {None: 2}, [{("a",): 1}]]


@pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: type(value).__name__)
def test_values_that_are_not_json_serializable_are_refused(
    queue: AIRequestQueue, cache: SemanticCache, value: Any
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: queue.enqueue(*MODEL, MESSAGES, organization_id="north", metadata={"a": value}),
        lambda: queue.enqueue(*MODEL, [{"role": "user", "content": value}], organization_id="north"),
        lambda: queue.enqueue(*MODEL, MESSAGES, organization_id="north", tags=[value]),
        lambda: cache.set(MESSAGES, {"content": "A line."}, organization_id="north", metadata={"a": value}),
        lambda: cache.get([value], *MODEL, organization_id="north"),
        lambda: create_budget(value),
    ]
    for call in calls:
        with pytest.raises(InvalidValueError):
            call()


def create_budget(value: Any) -> object:
    return CostOptimizer().set_budget("north", {"period": "daily", "limit": value})


def test_arguments_have_the_same_size_limits_as_http_bodies(queue: AIRequestQueue) -> None:
    deep: list[Any] = []
    deep.append(deep)
    wide = [0] * 30_000
    for metadata in ({"a": deep}, {"a": wide}, {"a": "x" * BODY_BYTES_MAX}):
        with pytest.raises(InvalidValueError, match="metadata"):
            queue.enqueue(*MODEL, MESSAGES, organization_id="north", metadata=metadata)
    with pytest.raises(InvalidValueError) as refusal:
        queue.enqueue(*MODEL, [{"role": "user", "content": "x" * 3_000_000}], organization_id="north")
    assert refusal.value.field == "messages"


def test_an_unknown_option_raises_a_type_error_that_names_it(queue: AIRequestQueue, cache: SemanticCache) -> None:
    calls: list[Callable[[], object]] = [
        lambda: queue.enqueue(*MODEL, MESSAGES, organization_id="north", color="red"),  # type: ignore[call-arg]
        lambda: cache.get(MESSAGES, *MODEL, organization_id="north", color="red"),  # type: ignore[call-arg]
        lambda: cache.set(MESSAGES, {"content": "x"}, organization_id="north", color="red"),  # type: ignore[call-arg]
    ]
    for call in calls:
        with pytest.raises(UnknownOptionError, match="color") as refusal:
            call()
        assert isinstance(refusal.value, TypeError)


@pytest.mark.parametrize("name", ["organization_id", "api_key_id", "timeout_ms", "cache_mode", "user_ref"])
def test_internal_options_are_refused(queue: AIRequestQueue, name: str) -> None:
    options: dict[str, Any] = {"organization_id": "north", name: 5}
    with pytest.raises(InvalidValueError, match=name):
        queue.enqueue(*MODEL, MESSAGES, **options)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\x7f", "a\tb", "a\n", "é", "a\0b", 5, True, [], HALF])
def test_an_idempotency_key_follows_the_header_s_rules(queue: AIRequestQueue, key: Any) -> None:
    with pytest.raises(InvalidValueError, match="idempotency_key"):
        queue.enqueue(*MODEL, MESSAGES, organization_id="north", idempotency_key=key)


@pytest.mark.parametrize("value", [None, 5, True, [], {}, b"x", NUL, HALF])
def test_a_request_id_must_be_text(queue: AIRequestQueue, value: Any) -> None:
    with pytest.raises(InvalidValueError, match="request_id"):
        queue.get_request_status(value)


def test_http_and_python_have_the_same_options() -> None:
    question = {"messages", "provider", "model"}
    assert {*get_type_hints(EnqueueOptions), *question} == {*EnqueueRequest.model_fields, "idempotency_key"}
    assert {*get_type_hints(LookupOptions), *question} == {*LookupIn.model_fields}
    assert {*get_type_hints(StoreOptions), "messages", "response"} == {*StoreIn.model_fields}
    assert {*TrackArguments.model_fields, *CallFacts.model_fields} == {*TrackRequest.model_fields, "metadata"}
    assert _parameters(CostOptimizer.get_cost_metrics) == {*MetricsQuery.model_fields}
    assert _parameters(CostOptimizer.get_alerts) == {*AlertsQuery.model_fields}
    assert _parameters(CostOptimizer.get_recommendations) == {*RecommendationsQuery.model_fields}
    assert _parameters(CostOptimizer.get_optimal_provider) == {*ChoiceQuery.model_fields}


def _parameters(operation: Callable[..., object]) -> set[str]:
    return {*get_type_hints(operation)} - {"organization_id", "return"}


def test_every_operation_is_tested_with_enough_invalid_values() -> None:
    assert all(len(door.cases) >= 10 for door in DOORS.values())
    assert sum(len(door.cases) for door in DOORS.values()) > 500
