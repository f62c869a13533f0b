"""The embedder interface: texts in, unit vectors out, on the embedder's own scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

TEXTS_A_CALL = 10
"""Maximum texts per embedder call, from the specification."""

Vector = NDArray[np.float32]
"""One embedding, of length one: the dot product of two is their cosine."""


class EmbedderError(Exception):
    """The embedder is missing, broken or too slow. The cache continues with its exact layer."""


class EmbedderRefusedError(EmbedderError):
    """This text or this payer was refused. The embedder itself may be healthy: others keep using it."""


@dataclass(frozen=True)
class Scale:
    """Meaningful cosines of one embedder; those of two embedders are not comparable.

    `edge` is an organization's default threshold. At `clear` or above a candidate is served unless a guard objects.
    Below `near` a candidate is ignored.
    """

    edge: float
    clear: float
    near: float


@dataclass(frozen=True)
class Payer:
    """Who pays for embedding, if it costs money."""

    organization_id: int
    api_key_id: int | None = None
    user_ref: str = ""


class Embedder(Protocol):
    """Turns texts into vectors. Thread-safe."""

    dimensions: int
    scale: Scale

    @property
    def id(self) -> str:
        """Name and version. Part of each partition, so a changed model finds no old entries. Never raises."""
        ...

    def prepare(self) -> None:
        """Load whatever is needed, so that later calls are fast. Safe to repeat. Raises EmbedderError."""
        ...

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:
        """The vectors, in order. A text always gets the same vector, whatever it is batched with. Raises EmbedderError.

        Raises its subclass EmbedderRefusedError if only this text or this payer is refused.
        """
        ...
