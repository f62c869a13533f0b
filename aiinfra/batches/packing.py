"""Compressed JSON columns."""

import json
import zlib
from typing import Any

LEVEL = 3


def pack(value: object) -> bytes:
    """Compressed JSON."""
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), LEVEL)


def unpack(packed: "bytes | memoryview[int]") -> Any:
    """The inverse of `pack`."""
    return json.loads(zlib.decompress(packed))
