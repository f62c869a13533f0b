"""What the lookup computed and storing the answer needs again. It is stored with the request as JSON."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cache_app.embedding.base import Vector


@dataclass(frozen=True)
class CacheKey:
    """Where an answer belongs. `vector` is None if the lookup needed none, or if the text is not compared by meaning:
    `by_meaning` distinguishes the two.
    """

    organization_id: int
    partition: str
    entry_id: str
    text: str
    embedder: str
    by_meaning: bool
    vector: Vector | None = None

    def packed(self) -> dict[str, Any]:
        """As JSON, with the vector in half precision, as in Redis."""
        return {
            "organization": self.organization_id,
            "partition": self.partition,
            "entry": self.entry_id,
            "text": self.text,
            "embedder": self.embedder,
            "byMeaning": self.by_meaning,
            "vector": None if self.vector is None else b64encode(self.vector.astype(np.float16).tobytes()).decode(),
        }

    @classmethod
    def unpacked(cls, packed: Mapping[str, Any]) -> "CacheKey":
        """The key that `packed` produced."""
        vector = packed["vector"]
        return cls(
            organization_id=packed["organization"],
            partition=packed["partition"],
            entry_id=packed["entry"],
            text=packed["text"],
            embedder=packed["embedder"],
            by_meaning=packed["byMeaning"],
            vector=None if vector is None else np.frombuffer(b64decode(vector), np.float16).astype(np.float32),
        )
