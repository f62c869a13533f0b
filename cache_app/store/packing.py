"""Convert an entry to the fields of a Redis hash, and back."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aiinfra.providers.base import TokenUsage
from cache_app.store.entry import Entry

TEXTS = ("partition", "question", "provider", "model", "origin", "request_id", "user_ref")
NUMBERS = ("created_ms", "expires_ms", "latency_ms")


def packed(entry: Entry) -> dict[str, str | bytes]:
    """The fields of an entry, without those that only the store sets."""
    return {
        **{name: getattr(entry, name) for name in TEXTS},
        **{name: str(getattr(entry, name)) for name in NUMBERS},
        "response": zlib.compress(_json(entry.response).encode()),
        "usage": _json(asdict(entry.usage)),
        "tags": _json(entry.tags),
        "metadata": _json(entry.metadata),
        "api_key_id": str(entry.api_key_id or ""),
        "bar": repr(entry.bar),
        "blocked": " ".join(sorted(entry.blocked)),
        "pinned": str(int(entry.pinned)),
    }


def unpacked(organization_id: int, entry_id: str, reply: Sequence[bytes]) -> Entry | None:
    """The entry that an HGETALL reply describes. None if it is not a valid entry."""
    try:
        fields = {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
        return Entry(id=entry_id, organization_id=organization_id, **_values(fields))
    except (KeyError, ValueError, TypeError, AttributeError, zlib.error, RecursionError):
        return None


def _values(fields: Mapping[str, bytes]) -> dict[str, Any]:
    response = dict(json.loads(zlib.decompress(fields["response"])))
    if not isinstance(response["content"], str):
        raise TypeError("an answer without a text")
    return {
        **{name: fields[name].decode() for name in TEXTS},
        **{name: int(fields[name]) for name in (*NUMBERS, "hits", "stamp")},
        "response": response,
        "usage": _usage(fields["usage"]),
        "tags": tuple(json.loads(fields["tags"])),
        "metadata": dict(json.loads(fields["metadata"])),
        "api_key_id": int(fields["api_key_id"]) if fields["api_key_id"] else None,
        "bar": float(fields["bar"]),
        "blocked": frozenset(fields["blocked"].decode().split()),
        "pinned": fields["pinned"] == b"1",
    }


def _usage(text: bytes) -> TokenUsage:
    usage = TokenUsage(**json.loads(text))
    if usage.total < 0:  # adding them up also detects counts that are not numbers
        raise ValueError("a negative number of tokens")
    return usage


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
