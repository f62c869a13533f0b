"""Several hundred bodies that no door lets in: each is refused by name, and nothing is stored."""

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
    """The two addresses that take such bodies."""
    return str(request.param)


def wrong_answers(
    program: Caller, address: str, cases: Iterable[tuple[object, str | None]]
) -> list[tuple[str, int, object]]:
    """The cases that are not answered by 400 in the error shape, naming the field."""
    wrong = []
    for body, param in cases:
        response = program.post(address, body)
        named = error_of(response)["param"] if response.status_code == 400 else None
        if response.status_code != 400 or named != param:
            wrong.append((label(body), response.status_code, named))
    return wrong


def test_invalid_json_is_refused(program: Caller, address: str) -> None:
    for name, body in bad_bodies.NOT_JSON.items():
        response = program.post(address, body)
        assert response.status_code == 400, name
        assert "not valid JSON" in error_of(response)["message"], name


def test_json_other_than_an_object_is_refused(program: Caller, address: str) -> None:
    assert wrong_answers(program, address, ((body, None) for body in bad_bodies.NOT_AN_OBJECT)) == []


def test_wrong_types_are_named(program: Caller, address: str) -> None:
    assert wrong_answers(program, address, bad_bodies.NAMED_RAW) == []


@pytest.mark.parametrize("field", bad_bodies.BY_FIELD)
def test_a_wrong_value_is_named(program: Caller, address: str, field: str) -> None:
    values = bad_bodies.BY_FIELD[field]
    if address == CHAT and field in {"provider", "model"}:
        values = [value for value in values if value is not None]  # a chat may leave the choice to us
    assert wrong_answers(program, address, ((enqueue_body(**{field: value}), field) for value in values)) == []


@pytest.mark.parametrize("group", bad_bodies.INSIDE)
def test_a_nested_error_is_named(program: Caller, address: str, group: str) -> None:
    cases = ((enqueue_body(**{group: value}), param) for value, param in bad_bodies.INSIDE[group])
    assert wrong_answers(program, address, cases) == []


def test_an_unknown_field_is_named(program: Caller, address: str) -> None:
    cases = [(enqueue_body(**{name: 1}), name or None) for name in bad_bodies.UNKNOWN_FIELDS]
    assert wrong_answers(program, address, cases) == []


def test_an_error_repeats_no_long_name(program: Caller, address: str) -> None:
    refused(program.post(address, enqueue_body(**{"x" * 10_000: 1})), 400, "x" * 200)


def test_deep_or_large_json_is_refused(program: Caller, address: str) -> None:
    for body in bad_bodies.TOO_DEEP:
        assert "nested" in refused(program.post(address, body), 400)["message"], label(body)


@pytest.mark.parametrize("name", bad_bodies.MISSING)
def test_a_missing_field_is_named(program: Caller, name: str) -> None:
    body = enqueue_body()
    del body[name]
    refused(program.post(QUEUE, body), 400, name)


@pytest.mark.parametrize("action", REFERENCE_ACTIONS)
def test_a_reference_is_a_text(program: Caller, action: str) -> None:
    values = [None, True, 5, 1.5, [], ["a"], {}, {"a": 1}, "a\0b"]
    cases = (({"action": action, "requestId": value}, "requestId") for value in values)
    assert wrong_answers(program, QUEUE, cases) == []


@pytest.mark.parametrize("action", REFERENCE_ACTIONS)
def test_exactly_one_reference_is_required(program: Caller, action: str) -> None:
    refused(program.post(QUEUE, {"action": action}), 400, "requestId")
    refused(program.post(QUEUE, {"action": action, "requestId": "x", "messages": MESSAGES}), 400, "messages")


@pytest.mark.parametrize("action", LANE_ACTIONS)
def test_a_lane_is_one_of_four_priorities(program: Caller, action: str) -> None:
    values = [True, 5, 1.5, [], ["low"], {}, {"a": 1}, "", "LOW", "10", "a\0b"]
    assert (
        wrong_answers(program, QUEUE, (({"action": action, "priority": value}, "priority") for value in values)) == []
    )


@pytest.mark.parametrize("action", [*LANE_ACTIONS, "cleanup"])
def test_an_unknown_field_of_an_action_is_named(program: Caller, admin_browser: Caller, action: str) -> None:
    caller = admin_browser if action == "cleanup" else program
    refused(caller.post(QUEUE, {"action": action, "requestId": "x"}), 400, "requestId")


def test_wait_is_a_boolean(program: Caller) -> None:
    cases = (({"messages": MESSAGES, "wait": value}, "wait") for value in [None, 5, 1.5, "true", "", [], {}])
    assert wrong_answers(program, CHAT, cases) == []


def test_another_content_type_is_refused(program: Caller, browser: Caller, address: str) -> None:
    for content_type in bad_bodies.CONTENT_TYPES:
        for caller in (program, browser):
            response = caller.post(address, enqueue_body(), content_type=content_type)
            assert refused(response, 415)["type"] == "unsupported_media_type"


def test_a_compressed_body_is_refused_as_such(program: Caller, address: str) -> None:
    body = gzip.compress(json.dumps(enqueue_body()).encode())
    error = refused(program.post(address, body, **{"Content-Encoding": "gzip"}), 415)
    assert "Content-Encoding" in error["message"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read_as_json(program: Caller, address: str) -> None:
    refused(program.post(address, b"[" * (1024 * 1024 + 1)), 413)
    refused(program.post(address, enqueue_body(messages=[{"role": "user", "content": "x" * 1_100_000}])), 413)


def test_a_form_of_five_megabytes_is_refused_in_the_same_shape(browser: Caller, address: str) -> None:
    form = b"a=1&" * 1_300_000
    refused(browser.post(address, form, content_type="application/x-www-form-urlencoded"), 413)


def test_an_idempotency_key_is_printable_ascii(program: Caller, address: str) -> None:
    for key in ["", " ", "a b", "x" * 256, "\x7f", "a\tb", "é", "\xff", "a\0b"]:
        refused(program.post(address, enqueue_body(), **{"Idempotency-Key": key}), 400, "Idempotency-Key")


def test_the_last_duplicate_member_counts(program: Caller) -> None:
    body = json.dumps(enqueue_body())[:-1].encode() + b', "provider": 5}'
    refused(program.post(QUEUE, body), 400, "provider")


def test_there_are_several_hundred_cases() -> None:
    values = sum(map(len, bad_bodies.BY_FIELD.values())) + sum(map(len, bad_bodies.INSIDE.values()))
    others = (bad_bodies.NOT_JSON, bad_bodies.NOT_AN_OBJECT, bad_bodies.NAMED_RAW, bad_bodies.UNKNOWN_FIELDS)
    assert values + sum(map(len, others)) > 250
