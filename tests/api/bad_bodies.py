"""Invalid bodies, as bytes or as changes to a valid body, each with the field that the error must name."""

import json
from typing import Any

from tests.api.support import MESSAGES, enqueue_body


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def with_raw(name: str, text: str) -> bytes:
    """A valid body with an additional member, whose value is raw JSON."""
    return json.dumps(enqueue_body())[:-1].encode() + f', "{name}": {text}}}'.encode()


def enqueue_with_message(content: str) -> bytes:
    """A body with one message, whose content is raw JSON."""
    return json.dumps(enqueue_body(messages=[{"role": "user", "content": "~"}])).replace('"~"', content).encode()


NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"  \n",
    "text": b"hello",
    "a form": b"provider=deepseek&model=deepseek-chat",
    "half": json.dumps(enqueue_body()).encode()[:-1],
    "two": b"{}{}",
    "trailing comma": b'{"provider": "deepseek",}',
    "single quotes": b"{'provider': 'deepseek'}",
    "bare name": b"{provider: 1}",
    "comment": b'{/* */ "provider": "deepseek"}',
    "hexadecimal": with_raw("timeout", "0x10"),
    "leading zero": with_raw("timeout", "01000"),
    "plus": with_raw("timeout", "+1000"),
    "bare point": with_raw("temperature", "1."),
    "raw newline": with_raw("userId", '"a\nb"'),
    "raw NUL": with_raw("userId", '"a\0b"'),
    "bad escape": with_raw("userId", r'"\x41"'),
    "short escape": with_raw("userId", r'"\u12"'),
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": json.dumps(enqueue_body()).encode("utf-16"),
    "UTF-32": json.dumps(enqueue_body()).encode("utf-32"),
    "Latin-1": '{"provider": "ä"}'.encode("latin-1"),
    "overlong UTF-8": b'{"provider": "\xc0\x80"}',
    "cut UTF-8": b'{"provider": "\xe2\x82"}',
    "pickle": b"\x80\x04\x95",
    "gzip": b"\x1f\x8b\x08\x00",
    "5,000 digits": with_raw("timeout", "9" * 5_000),
    "100,000 brackets": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "closed brackets": b"]" * 10,
}

NOT_AN_OBJECT = [b"null", b"true", b"0", b'"text"', b"[]", b"[{}]", b"1.5", b"-0"]

NAMED_RAW: list[tuple[bytes, str]] = [
    (with_raw("temperature", "NaN"), "temperature"),
    (with_raw("temperature", "Infinity"), "temperature"),
    (with_raw("metadata", '{"a": -Infinity}'), "metadata.a"),
    (with_raw("temperature", "1e400"), "temperature"),
    (with_raw("metadata", '{"a": [-1e400]}'), "metadata.a.0"),
    (with_raw("metadata", '{"a": ' + "9" * 400 + ".0}"), "metadata.a"),
    (with_raw("timeout", str(2**63)), "timeout"),
    (with_raw("metadata", '{"n": ' + "9" * 30 + "}"), "metadata.n"),
    (with_raw("userId", r'"\ud800"'), "userId"),
    (with_raw("userId", r'"\udc00"'), "userId"),
    (with_raw("userId", r'"\udc00\ud800"'), "userId"),
    (with_raw("userId", r'"\ud83dx"'), "userId"),
    (with_raw("metadata", r'{"\ud800": 1}'), r"metadata.\ud800"),
    (enqueue_with_message(r'"\udead"'), "messages.0.content"),
    (enqueue_with_message("NaN"), "messages.0.content"),
    (with_raw("model", '"gpt-4"'), "model"),
    (with_raw(r"mod\u0065l", '"gpt-4"'), "model"),
    (with_raw("model", "null"), "model"),
    (with_raw("metadata", '{"a": [0, {"b": 1, "c": 2, "b": 1}]}'), "metadata.a.1.b"),
    (with_raw("metadata", '{"a": 1, "": 2, "": 2}'), "metadata."),
    (enqueue_with_message('"x", "content": "y"'), "messages.0.content"),
]
"""Raw JSON that Python's encoder would not write, and the field that the error names."""

TEXT = [None, True, 5, 1.5, [], ["a"], {}, {"a": 1}]
"""Values that are not a string."""
NUMBER = ["", "5", "1e3", True, [], [5], {}, {"a": 5}]
"""Values that are not a number."""
LONG = "x" * 200
NUL = "a\0b"

BY_FIELD: dict[str, list[Any]] = {
    "provider": [*TEXT, "", NUL, "x" * 33],
    "model": [*TEXT, "", NUL, "x" * 129],
    "messages": [None, True, 5, "", "text", [], {}, {"role": "user", "content": "x"}, MESSAGES * 2_049],
    "priority": [*TEXT, "", NUL, "urgent", "NORMAL", "normal ", "100", 100],
    "userId": [*TEXT, NUL, LONG],
    "conversationId": [*TEXT, NUL, LONG],
    "maxRetries": [*NUMBER, None, -1, 11, 1.5, 2**31, 2**63, -(2**63)],
    "timeout": [*NUMBER, None, 0, 999, 120_001, -5, 1000.5, 2**31, 2**63],
    "temperature": [*NUMBER, -0.01, 2.01, 1e308, -1, 3],
    "maxTokens": [*NUMBER, 0, -1, 131_073, 1.5, 2**31, 2**63],
    "serviceTier": [True, 5, 1.5, [], {}, "", NUL, "batch", "Flex", "default"],
    "cache": [*TEXT, "", NUL, "maybe", "USE"],
    "organizationId": [True, 5, 1.5, [], ["north"], {}, {"slug": "north"}, NUL],
    "action": [True, 5, [], {}, "", NUL, "explode", "stats", "list", "enqueue", "CANCEL"],
}
"""Field -> invalid values; the error names the field."""

NO_CONTENT = [None, True, 5, 1.5, [], [5], [["a"]], {}, {"a": 1}]
"""Values that are neither a string nor an array of parts."""
TURN = {"role": "user", "content": "x"}
INSIDE: dict[str, list[tuple[Any, str]]] = {
    "messages": [
        *[([turn], "messages.0") for turn in (None, True, 5, "text", [], [1])],
        *[([TURN, turn], "messages.1") for turn in (None, 5, "text")],
        ([{}], "messages.0.role"),
        ([{"role": "user"}], "messages.0.content"),
        ([{"content": "x"}], "messages.0.role"),
        *[([{**TURN, "role": role}], "messages.0.role") for role in [*TEXT, "", "User", NUL]],
        *[([{**TURN, "content": text}], "messages.0.content") for text in [*NO_CONTENT, "", NUL]],
        ([{**TURN, NUL: "x"}], f"messages.0.{NUL}"),
    ],
    "tags": [
        *[(tags, "tags") for tags in (None, True, 5, "a", {}, {"a": "b"}, ["t"] * 21)],
        *[(["fine", tag], "tags.1") for tag in [*TEXT, "", "x" * 65, NUL]],
    ],
    "metadata": [
        *[(metadata, "metadata") for metadata in (None, True, 5, "a", [], [1], [["a", 1]])],
        ({NUL: 1}, f"metadata.{NUL}"),
        ({"a": {"b": [NUL]}}, "metadata.a.b.0"),
        *[({"a": number}, "metadata.a") for number in (2**63, -(2**63), 10**300)],
    ],
}
"""Field -> values with a nested error, and the path that the error names."""

UNKNOWN_FIELDS = [
    "x",
    "Provider",
    "max_tokens",
    "user_id",
    "organization_id",
    "stream",
    "status",
    "cost",
    "id",
    "__proto__",
    "",
    " ",
    "ä",
]

TOO_DEEP = [
    enqueue_body(metadata={"a": nested(33)}),
    enqueue_body(metadata={"a": nested(150)}),
    enqueue_body(metadata={"a": nested(500)}),
    enqueue_body(messages=nested(40)),
    enqueue_body(x=nested(40)),
    enqueue_body(metadata={"a": [0] * 30_000}),
    enqueue_body(metadata={str(number): 0 for number in range(15_000)}),
]
"""Nested too deeply, or with too many members."""

MISSING = ["provider", "model", "messages"]

CONTENT_TYPES = [
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/octet-stream",
    "json",
    "application/json application/json",
    "*/*",
    "",
]
