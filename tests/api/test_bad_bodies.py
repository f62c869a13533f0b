"""Hundreds of invalid bodies: each is rejected with the name of its field, and nothing is stored."""

import gzip
import json
from collections.abc import Iterable

import pytest

from tests.api import bad_bodies
from tests.api.support import CHAT, MESSAGES, QUEUE, Caller, enqueue_body, error_of, refused

REFERENCE_ACTIONS = ["cancel", "retry"]
LANE_ACTIONS = ["pause", "resume"]

pytestmark = pytest.mark.usefixtures("nothing_stored")


def label(value: object) -> str:
    return repr(value)[:60].encode("ascii", "backslashreplace").decode().replace("\0", "NUL")


@pytest.fixture(params=[QUEUE, CHAT])
def address(request: pytest.FixtureRequest) -> str:
    """The two endpoints that accept these bodies."""
    return str(request.param)


def unexpected_responses(
    program: Caller, address: str, cases: Iterable[tuple[object, str | None]]
) -> list[tuple[str, int, object]]:
    """The cases whose response is not 400 with this `param`."""
    wrong = []
    for body, param in cases:
        response = program.post(address, body)
        named = error_of(response)["param"] if response.status_code == 400 else None
        if response.status_code != 400 or named != param:
            wrong.append((label(body), response.status_code, named))
    return wrong


def test_invalid_json_is_rejected(program: Caller, address: str) -> None:
    for name, body in bad_bodies.NOT_JSON.items():
        response = program.post(address, body)
        assert response.status_code == 400, name
        assert "not valid JSON" in error_of(response)["message"], name


def test_json_other_than_an_object_is_rejected(program: Caller, address: str) -> None:
    assert unexpected_responses(program, address, ((body, None) for body in bad_bodies.NOT_AN_OBJECT)) == []


def test_invalid_raw_value_is_named(program: Caller, address: str) -> None:
    assert unexpected_responses(program, address, bad_bodies.NAMED_RAW) == []


@pytest.mark.parametrize("field", bad_bodies.BY_FIELD)
def test_invalid_value_is_named(program: Caller, address: str, field: str) -> None:
    values = bad_bodies.BY_FIELD[field]
    if address == CHAT and field in {"provider", "model"}:
        values = [value for value in values if value is not None]  # a chat may omit both
    assert unexpected_responses(program, address, ((enqueue_body(**{field: value}), field) for value in values)) == []


@pytest.mark.parametrize("group", bad_bodies.INSIDE)
def test_nested_error_is_named(program: Caller, address: str, group: str) -> None:
    cases = ((enqueue_body(**{group: value}), param) for value, param in bad_bodies.INSIDE[group])
    assert unexpected_responses(program, address, cases) == []


def test_unknown_field_is_named(program: Caller, address: str) -> None:
    cases = [(enqueue_body(**{name: 1}), name or None) for name in bad_bodies.UNKNOWN_FIELDS]
    assert unexpected_responses(program, address, cases) == []


def test_long_field_name_is_truncated_in_the_error(program: Caller, address: str) -> None:
    refused(program.post(address, enqueue_body(**{"x" * 10_000: 1})), 400, "x" * 200)


def test_deep_or_large_json_is_rejected(program: Caller, address: str) -> None:
    for body in bad_bodies.TOO_DEEP:
        message = refused(program.post(address, body), 400)["message"]
        assert "levels deep" in message or "members" in message, label(body)


@pytest.mark.parametrize("name", bad_bodies.MISSING)
def test_missing_field_is_named(program: Caller, name: str) -> None:
    body = enqueue_body()
    del body[name]
    refused(program.post(QUEUE, body), 400, name)


@pytest.mark.parametrize("action", REFERENCE_ACTIONS)
def test_request_id_must_be_a_string(program: Caller, action: str) -> None:
    values = [None, True, 5, 1.5, [], ["a"], {}, {"a": 1}, "a\0b"]
    cases = (({"action": action, "requestId": value}, "requestId") for value in values)
    assert unexpected_responses(program, QUEUE, cases) == []


@pytest.mark.parametrize("action", REFERENCE_ACTIONS)
def test_request_id_is_required_and_the_only_field(program: Caller, action: str) -> None:
    refused(program.post(QUEUE, {"action": action}), 400, "requestId")
    refused(program.post(QUEUE, {"action": action, "requestId": "x", "messages": MESSAGES}), 400, "messages")


@pytest.mark.parametrize("action", LANE_ACTIONS)
def test_priority_must_be_one_of_four(program: Caller, action: str) -> None:
    values = [True, 5, 1.5, [], ["low"], {}, {"a": 1}, "", "LOW", "10", "a\0b"]
    assert (
        unexpected_responses(program, QUEUE, (({"action": action, "priority": value}, "priority") for value in values))
        == []
    )


@pytest.mark.parametrize("action", [*LANE_ACTIONS, "cleanup"])
def test_unknown_field_of_an_action_is_named(program: Caller, admin_browser: Caller, action: str) -> None:
    caller = admin_browser if action == "cleanup" else program
    refused(caller.post(QUEUE, {"action": action, "requestId": "x"}), 400, "requestId")


def test_wait_must_be_a_boolean(program: Caller) -> None:
    cases = (({"messages": MESSAGES, "wait": value}, "wait") for value in [None, 5, 1.5, "true", "", [], {}])
    assert unexpected_responses(program, CHAT, cases) == []


def test_other_content_types_return_415(program: Caller, browser: Caller, address: str) -> None:
    for content_type in bad_bodies.CONTENT_TYPES:
        for caller in (program, browser):
            response = caller.post(address, enqueue_body(), content_type=content_type)
            assert refused(response, 415)["type"] == "unsupported_media_type"


def test_compressed_body_returns_415(program: Caller, address: str) -> None:
    body = gzip.compress(json.dumps(enqueue_body()).encode())
    error = refused(program.post(address, body, **{"Content-Encoding": "gzip"}), 415)
    assert "Content-Encoding" in error["message"]


def test_oversized_body_is_rejected_before_it_is_parsed(program: Caller, address: str) -> None:
    refused(program.post(address, b"[" * (1024 * 1024 + 1)), 413)
    refused(program.post(address, enqueue_body(messages=[{"role": "user", "content": "x" * 1_100_000}])), 413)


def test_oversized_form_is_rejected_with_the_same_error(browser: Caller, address: str) -> None:
    form = b"a=1&" * 1_300_000
    refused(browser.post(address, form, content_type="application/x-www-form-urlencoded"), 413)


def test_idempotency_key_must_be_printable_ascii(program: Caller, address: str) -> None:
    for key in ["", " ", "a b", "x" * 256, "\x7f", "a\tb", "é", "\xff", "a\0b"]:
        refused(program.post(address, enqueue_body(), **{"Idempotency-Key": key}), 400, "Idempotency-Key")


def test_last_duplicate_member_is_validated(program: Caller) -> None:
    body = json.dumps(enqueue_body())[:-1].encode() + b', "provider": 5}'
    refused(program.post(QUEUE, body), 400, "provider")


def test_number_of_cases() -> None:
    values = sum(map(len, bad_bodies.BY_FIELD.values())) + sum(map(len, bad_bodies.INSIDE.values()))
    others = (bad_bodies.NOT_JSON, bad_bodies.NOT_AN_OBJECT, bad_bodies.NAMED_RAW, bad_bodies.UNKNOWN_FIELDS)
    assert values + sum(map(len, others)) > 250
