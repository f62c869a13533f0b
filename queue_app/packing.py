"""JSON at rest, compressed where that saves space."""

import json
import zlib
from typing import Any

COMPRESS_ABOVE_BYTES = 4096
PLAIN, DEFLATED = b"j", b"z"


def pack(value: object) -> bytes:
    """JSON with a one-byte marker in front. Above 4 KiB it is compressed."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if len(text) <= COMPRESS_ABOVE_BYTES:
        return PLAIN + text
    return DEFLATED + zlib.compress(text, level=3)


def unpack(packed: bytes | memoryview) -> Any:
    """The inverse of `pack`. Raises ValueError for bytes that `pack` did not produce."""
    mark, body = bytes(packed[:1]), bytes(packed[1:])
    if mark == DEFLATED:
        return json.loads(zlib.decompress(body))
    if mark == PLAIN:
        return json.loads(body)
    raise ValueError(f"unknown packing {mark!r}")
