"""Parses JSON bodies and query parameters, and rejects content that would break later stages."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic_core
from django.http import HttpRequest

from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.failures import ApiError

DEPTH_MAX = 32
NODES_MAX = 20_000
"""Members and array elements of a body."""
CALL_NODES_MAX = 100_000
"""The limit for calls under `/v1`: a long coding agent session has thousands of turns and hundreds of tools."""
INTEGER_MAX = 2**63 - 1
INPUT = re.compile(r"(body\.)?input(\.[0-9]+)?")
"""The path of texts to embed, in a request or a batch line."""
REPEATED = "This member appears more than once."


def read_json(request: HttpRequest, bytes_max: int = BODY_BYTES_MAX) -> dict[str, Any]:
    """The body as a JSON object. Raises ApiError 400, 413 or 415."""
    if request.content_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "Send JSON with Content-Type: application/json.")
    body = request.read(bytes_max + 1)
    if len(body) > bytes_max:
        raise ApiError(413, "too_large", f"The body is larger than {bytes_max} bytes.")
    try:
        value = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        _name_the_field(body)
        if request.headers.get("Content-Encoding"):
            raise ApiError(415, "unsupported_media_type", "Send JSON without a Content-Encoding.") from None
        raise ApiError(400, "invalid_request", f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ApiError(400, "invalid_request", "The body must be a JSON object.")
    if (path := repeated_member(body)) is not None:
        raise ApiError(400, "invalid_request", REPEATED, param=path)
    return value


def read_query(request: HttpRequest) -> dict[str, Any]:
    """The parameters in the URL. Raises ApiError 400 for one that appears more than once."""
    for name, values in request.GET.lists():
        if len(values) > 1:
            raise ApiError(400, "invalid_request", "This parameter appears more than once.", param=name)
    return request.GET.dict()


def repeated_member(text: bytes) -> str | None:
    """The path of a repeated member in a valid JSON text, if any.

    Parsers differ on which one they use (RFC 8259, section 4), so a proxy that checks the model could see a different
    one than we call.
    """
    with_repeats: list[_WithRepeat] = []

    def members_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            members = _WithRepeat(members)
            members.name = Counter(name for name, _ in pairs).most_common(1)[0][0]
            with_repeats.append(members)
        return members

    # Only names matter here; Python refuses to parse whole numbers of thousands of digits.
    root = json.loads(text, object_pairs_hook=members_of, parse_int=len)
    return _path_of_repeat(root) if with_repeats else None


class _WithRepeat(dict[str, Any]):
    """An object with a repeated member."""

    name: str


def _path_of_repeat(root: object) -> str | None:
    pending: list[tuple[Any, str]] = [(root, "")]
    while pending:
        value, path = pending.pop()
        if isinstance(value, _WithRepeat):
            return f"{path}.{value.name}" if path else value.name
        pending.extend((child, here) for child, here, _ in _children_of(value, path, 0))
    return None


def _name_the_field(body: bytes) -> None:
    """Raise ApiError naming the invalid field. Python's parser accepts NaN, lone surrogates and deeper nesting."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    check_tree(value)


def json_lines(file: Path) -> list[str]:
    """The lines of a UTF-8 file, split at line feeds only: a JSON text may contain separators such as U+2028.

    Raises OSError, and ValueError for another encoding.
    """
    return file.read_text(encoding="utf-8-sig").split("\n")


def check_tree(root: object, nodes_max: int = NODES_MAX) -> None:
    """Reject values that a database or a later parser cannot handle, naming the field. Raises ApiError 400."""
    if flaw := first_error(root, nodes_max):
        raise ApiError(400, "invalid_request", flaw[1], param=flaw[0])


def first_error(root: object, nodes_max: int = NODES_MAX) -> tuple[str, str] | None:
    """The path of the first value that a database or a later parser cannot handle, and its problem."""
    pending: list[tuple[Any, str, int]] = [(root, "", 0)]
    seen = 0
    while pending:
        value, path, depth = pending.pop()
        seen += 1
        if depth > DEPTH_MAX:
            return path, f"This is nested more than {DEPTH_MAX} levels deep."
        if seen > nodes_max:
            return path.partition(".")[0], f"The request has more than {nodes_max:,} members and array elements."
        if problem := _problem_of(value):
            return path, problem
        if INPUT.fullmatch(path) and _are_tokens(value):
            continue
        pending.extend(_children_of(value, path, depth + 1))
    return None


def _problem_of(value: object) -> str | None:
    if isinstance(value, str) and "\0" in value:
        return "Text must not contain NUL characters."
    if isinstance(value, str) and not _is_unicode(value):
        return "Text must not contain halves of surrogate pairs."
    if isinstance(value, float) and not math.isfinite(value):
        return "Numbers must be finite."
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return "Whole numbers must fit into 64 bits."
    return None


def _are_tokens(value: object) -> bool:
    """Whether this is an array of small integers. It counts as one value: text to embed can be sent as tokens, hundreds
    of thousands per request.
    """
    return isinstance(value, list) and set(map(type, value)) == {int} and max(max(value), -min(value)) <= INTEGER_MAX


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _children_of(value: object, path: str, depth: int) -> Iterator[tuple[Any, str, int]]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            here = f"{path}.{name}" if path else str(name)
            yield name, here, depth
            yield child, here, depth
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield child, f"{path}.{index}", depth
